// Package controller makes a change of a ConfigMap or Secret a release of the workloads that use it.
//
// The rule: one write per workload and change, which admission turns into the new digest. The controller only compares:
// what a workload's template was released with, and what is in the objects now.
//
//	config event -> the workloads that use the object -> settle time -> read live, compare -> one annotation
//
// # What is kept
//
// Of ConfigMaps and Secrets nothing: they are watched as metadata, an event is a name, and memory does not grow with
// them. (Metadata may hold content, in kubectl's annotation of what was last applied; it goes with the event.) Of workloads the names of what they use (see strip), so that an event finds its workloads without a search. Of
// what was seen, a keyed hash on the workload itself (hashing.Seen). A controller that starts looks at every workload
// once, so a change that it slept through is found, and one that was handled is not.
//
// # What a look finds
//
//	the workload's namespace or the workload opted out, config ignored   nothing to do
//	a release that has not read its config yet, is promoted or reverted  another look later
//	a required object or key is missing                                  nothing to do: pods wait for it
//	nobody knows what the template was released with                     that is noted now; nothing rolls
//	the same content                                                     nothing, or noted under the current key
//	other content                                                        noted: admission makes it a release
//
// A look at every workload follows when another hash key becomes the current one. What was seen is noted under it, five
// workloads a second, so that the older key may get lost.
//
// # Storms
//
// Writes are rationed: for the cluster, for each object that changed, and for each workload, whose changes in quick
// succession wait 1 minute, 2, 4 and so on up to an hour. Of the workloads that use one object, only so many are on the
// way to its new content at once; those that wait go on when another is healthy, and none does once one has failed with
// that content. The first two rations are forgotten with the process, the others are in what was written.
package controller
