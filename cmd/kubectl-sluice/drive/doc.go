// Package drive approves, aborts and retries releases: each by one annotation, which admission judges.
//
// The rule: a write names the release, or the release and its step, and carries the resourceVersion of
// the object that was looked at, so that it means what the person saw or nothing at all. Where somebody
// else wrote in between it is made again, as long as the release still stands where it stood.
//
//	what             annotation                               done when the answer shows
//	promote          sluice.dev/approve: "<release>/<step>"   an approval of that step
//	promote --full   sluice.dev/approve: "<release>/full"     the same, with all steps after it
//	abort            sluice.dev/abort: "<release>"            the phase Aborted
//	retry            sluice.dev/retry: "<release>"            another release, Progressing
//
// Only the answer of the API server tells whether a write did anything: admission may take an annotation
// back with a warning, and without sluice in its way the API server stores any. Neither is success.
package drive
