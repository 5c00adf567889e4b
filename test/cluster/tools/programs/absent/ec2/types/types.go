// Package types has what Traefik knows of an instance.
package types

// InstanceStateName is what an instance does.
type InstanceStateName string

// InstanceStateNameRunning is that of one that serves.
const InstanceStateNameRunning InstanceStateName = "running"

// InstanceState is what an instance does.
type InstanceState struct{ Name InstanceStateName }

// Instance is a machine.
type Instance struct {
	InstanceId, PrivateIpAddress *string
	State                        *InstanceState
}

// Reservation is a group of machines.
type Reservation struct{ Instances []Instance }
