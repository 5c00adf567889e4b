// Package types has what Traefik knows of an instance.
package types

// InstanceInformation is a machine.
type InstanceInformation struct{ InstanceId, IPAddress *string }

// InstanceInformationStringFilter selects machines.
type InstanceInformationStringFilter struct {
	Key    *string
	Values []string
}
