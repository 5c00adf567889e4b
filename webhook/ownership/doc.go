// Package ownership decides whether a plain write takes fields that others own, as server-side apply
// decides it for an apply. It is pure: two objects and who asks in, a verdict out; no client, no clock, no
// schema.
//
// The rule: a plain write is refused for the fields for which an apply of the same change would be, in the
// same words, and for what it removes, which an apply would leave.
//
// The API server enters a write in managedFields before it calls webhooks. So the new object shows what
// every owner has left, and the old one what it had. What an owner lost, and whose value or presence
// changed, is a conflict. The package compares no more than that: it works for custom resources, and for
// fields that are younger than its libraries.
//
// # What is decided, in order
//
// The first row that fits decides. Policy is read of the old object and its Namespace.
//
//	the object is being deleted                                          allowed
//	sluice itself, Kubernetes' own controllers (by user, not by name)    allowed
//	the mode is ignore; the object has no managedFields                  allowed
//
//	for each owner, but the requester itself; for each field that it lost:
//	  the field is ignored, or lies in an item reported as removed       nothing
//	  the claim is in another version and went with all others, the
//	    field did not change: that version is not served                 nothing
//	  changed or new, and the requester wrote it by apply                Applied: it used force
//	  changed or new                                                     Modified
//	  gone with a list item that the requester held and the owner not    nothing, as with apply
//	  gone                                                               Removed
//	  there, unchanged; the owner holds it under another name, or the
//	    API server merged old entries, or left all out for their size    nothing
//	  there, unchanged                                                   Rewritten: the claim itself is taken
//
//	for each conflict, the mildest of:
//	  the mode
//	  the owner's claim is not protected                                 warn
//	  Applied                                                            Operator.ForcedApply, ignore
//	  Removed or scaled, and nothing tells who asks                      Operator.Unknown, warn
//	  changed, and the API server entered nothing anywhere               Operator.Unknown, warn
//	    the same, not protected; replicas that kubectl applied           ignore: it may be the owner itself
//
//	any that is enforced                                                 denied: 403, and never 409 or 422
//	  it asks for force, or only rewrites claims, and may                allowed, with a warning
//	policy of the object becomes looser, in mode enforce                 denied, but to who may force
//
// Protected are the claims of appliers, the claim of an autoscaler to replicas, and those of the managers
// that ProtectAnnotation lists. The others get a warning: claims by Update never expire, so enforcing all of
// them would lock every object.
//
// # Who asks
//
// The field manager that the request names; else the manager of the entry that holds a value that changed;
// else those that the operator bound to the user. kubectl's commands are one principal, and so are the
// entries of one manager by Apply, by Update and for subresources. A name that is bound to other users counts for
// nothing: then all that its owner holds is looked at, not only what it lost, since the API server enters the
// write as the owner's own.
//
// # What is guaranteed
//
//   - For a write that removes nothing and rewrites no managedFields, of an object that has some and lists without
//     duplicates: the same conflicts as apply, in its words and order, but for ignored fields and between the entries
//     of one principal. A test compares ten thousand random writes with the API server's own code.
//   - The same review gives the same decision. A dry-run is judged like any write.
//   - Nothing of an object's values is in a message, a warning or a cause: only paths. (Keys of maps and
//     items are parts of paths.)
//   - An owner is not fooled away by what a body says: forged entries, moved times and dropped claims are
//     either undone by the API server or reported.
//
// # What is not
//
//   - An object without managedFields has no owners. Old claims that the API server merged have lost their
//     owner's name.
//   - A plain removal that names no field manager is nobody's; so is a change through /scale. Bind users to
//     managers, or let Operator.Unknown be enforce.
//   - Names are self-asserted: without bindings this guards against mistakes, not against attackers. Equal
//     names (`manager` is a common one) are one owner.
//   - Policy is guarded by VerbForce only while the mode is enforce, and only on the object itself: whoever
//     may edit the Namespace, or the label that opts it in, may end all protection in it.
//   - DELETE and CREATE anew goes past all claims.
//   - What another webhook changes after the API server's bookkeeping belongs to nobody: Untraced finds
//     it, for the log. Where such a webhook sets a field back, the claim is gone all the same, and that is
//     reported as Rewritten.
//   - Claims in other versions of the API are judged by the API server's comparison alone. Where all of an owner go
//     at once, its version may be one that is no longer served: then only fields that change, and are called the same in
//     this version, are conflicts. An apply would take these without a word if the version is gone.
//   - Where a struct of a custom resource becomes atomic in a new schema, the API server rewrites the claims to its
//     parts. A body that does so cannot be told from that, and is not reported.
//   - An object above 512 KiB that comes without managedFields is judged by its values only: the API server itself
//     leaves them out where an object gets too large to be stored.
//   - Lists and maps that are atomic, like args, have one owner as a whole.
//   - An autoscaler owns replicas only where somebody owned them before its first write: the API server does
//     not begin to track a scale that has no owner.
//   - A forced apply is allowed by default, since the tools that keep a cluster like Git always force.
//
// # Cost
//
// Entries that are the same before and after are not parsed, values are found without decoding the objects.
// BenchmarkDecide, a Deployment of three containers with five owners, on two shared and busy cores: 0.2 ms of
// CPU and 10 KB of garbage where nobody loses anything, 0.4 ms and 45 KB where one owner does, 0.5 to 0.8 ms and
// 98 KB where all five do. Untraced, for a write that is let through, is 0.2 ms and 35 KB more.
//
// It grows in proportion to the objects, since large maps and lists get an index. BenchmarkDecideBySize, all of a
// ConfigMap's keys changed: 13 µs for each of 1,000 keys, 15 µs for each of 10,000, Untraced included.
//
// # Decisions
//
// 2026-11: who took a field from whom is read of the entries, not computed with a schema: a schema compiled in
// fails on every field that is younger, and comparing with the server's takes three times as long.
package ownership
