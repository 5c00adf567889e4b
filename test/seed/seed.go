// Package seed makes the cases that rapid draws the same in each run, so that a change is not held up by what an
// earlier one left to be found. To look for more: go test ./canary -rapid.seed=$RANDOM -rapid.checks=1000.
package seed

import "flag"

// Fix is for the TestMain of a package with random cases.
func Fix() {
	flag.Parse()
	if drawn := flag.Lookup("rapid.seed"); drawn.Value.String() == "0" { // another one each time
		if err := drawn.Value.Set("1"); err != nil {
			panic("this is a bug: " + err.Error())
		}
	}
}
