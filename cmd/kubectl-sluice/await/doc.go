// Package await waits until a release is held, promoted or aborted.
//
// The rule: what is waited for is one release, by its id, which is the generation of the workload that
// started it. Whatever becomes of that release is an answer: it is reached, or it has ended another way.
// A release that took its place is another one, and never counts.
//
//	what is seen                                       held        promoted    aborted
//	Progressing                                        wait        wait        wait
//	Waiting                                            reached     wait        wait
//	Promoting, still held                              missed      wait        wait
//	Promoting, the native rollout is under way         missed      wait        missed
//	Aborted                                            missed      missed      reached
//	Reverting                                          missed      missed      missed
//	a release with a greater id                        missed      missed      missed
//	no release any more, the template is the canary's  missed      reached     missed
//	no release any more, another template              missed      missed      missed
//	there was no release from the start                missed      reached once the version is rolled out; missed for aborted
//
// Without a release from the start the change went through natively, or its release is over already:
// what counts then is the version in the spec.
package await
