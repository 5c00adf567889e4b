// Package owners reads who owns the fields of an object of any kind, and asks the API server what an apply
// of a file would conflict with.
//
// The rule: nothing is written. What would conflict is what the API server itself answers to a dry run of a
// server-side apply without force; what sluice does about it is what webhook/ownership says, by the
// annotations that the user may read. The settings that sluice was started with, such as which users
// may be which manager, are not known here.
package owners
