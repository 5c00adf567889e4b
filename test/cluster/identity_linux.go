package cluster

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// identity names one process for good. Process ids are used again, but not
// together with the same start time within one boot.
type identity struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks since boot
	Boot    string `json:"boot"`
}

// identify returns the identity of the process that has pid now.
func identify(pid int) (identity, error) {
	started, _, err := processStat(pid)
	if err != nil {
		return identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, fmt.Errorf("reading the boot id: %w", err)
	}
	return identity{PID: pid, Started: started, Boot: strings.TrimSpace(string(boot))}, nil
}

// processStat returns the start time and the state letter of a process.
func processStat(pid int) (started uint64, letter string, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses and may hold
	// anything; the state is the third field, the start time the 22nd.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 20 {
		return 0, "", fmt.Errorf("reading the status of process %d: %d fields", pid, len(fields))
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return started, fields[0], err
}

// alive tells whether that very process still runs; a zombie does not.
func (i identity) alive() bool {
	if i.PID == 0 {
		return false
	}
	now, err := identify(i.PID)
	if err != nil || now != i {
		return false
	}
	_, letter, err := processStat(i.PID)
	return err == nil && letter != "Z" && letter != "X"
}

// signal sends to that very process, and to nobody if it has ended.
func (i identity) signal(s syscall.Signal) error {
	// The handle is taken before the identity is checked, and refers to the
	// same process ever after, so that the id cannot change hands in between.
	handle, err := os.FindProcess(i.PID)
	if err != nil {
		return fmt.Errorf("finding process %d: %w", i.PID, err)
	}
	defer func() { _ = handle.Release() }()
	if !i.alive() {
		return os.ErrProcessDone
	}
	return handle.Signal(s)
}
