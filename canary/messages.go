package canary

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// What people read. A warning stays below 256 characters where names are of ordinary length: the API
// server cuts longer ones.

// subject names the workload as kubectl does: "deployment/web".
func (c change) subject() string {
	return strings.ToLower(c.Kind) + "/" + c.New.Metadata.Name
}

// kubectl returns a command on the workload, to be pasted.
func (c change) kubectl(verb string) string {
	return fmt.Sprintf("kubectl %s %s -n %s", verb, c.subject(), c.New.Metadata.Namespace)
}

func (c change) annotate(key, value string) string {
	return fmt.Sprintf("%s --overwrite %s=%s", c.kubectl("annotate"), key, value)
}

// approveCommand is what goes on with a release.
func (c change) approveCommand(r *Release) string {
	if c.Kind == Deployment {
		return c.kubectl("rollout resume")
	}
	return c.annotate(ApproveAnnotation, r.ApproveValue()) // kubectl resumes Deployments only
}

func (c change) notPermitted(verb, what string) string {
	return fmt.Sprintf("%q may not %s of %s in namespace %q: that needs the verb %q on %ss.apps; ask somebody who has it, or for a role that grants it",
		c.User, what, c.subject(), c.New.Metadata.Namespace, verb, strings.ToLower(c.Kind))
}

func (c change) holdWarning(next *Release) string {
	step := next.Policy.step(next.Step)
	if next.Step == 0 {
		return fmt.Sprintf("sluice: %s is paused: release %d of the new version starts at step 1 with: %s",
			c.subject(), next.ID, c.resumeCommand())
	}
	size, n := step.size(c.Kind, c.New.Replicas(), next.Held), c.New.Replicas()
	if size == 0 {
		return fmt.Sprintf("sluice: %s is held as release %d: it has one pod, so there is no canary; %s", c.subject(), next.ID, c.goesOn(step, next))
	}
	beside := fmt.Sprintf("beside %d", n)
	if c.Kind == StatefulSet {
		beside = fmt.Sprintf("of %d", n)
	}
	return fmt.Sprintf("sluice: %s is held as release %d: step 1 of %d runs %d new %s %s; once available, %s",
		c.subject(), next.ID, len(next.Policy.steps()), size, plural(size, "pod"), beside, c.goesOn(step, next))
}

// resumeCommand takes back the user's own pause.
func (c change) resumeCommand() string {
	if c.Kind == Deployment {
		return c.kubectl("rollout resume")
	}
	return c.kubectl("patch") + ` -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'`
}

func (c change) goesOn(step Step, r *Release) string {
	if step.Wait > 0 {
		return fmt.Sprintf("it goes on after %s; abort by applying the old version", step.Wait)
	}
	return "approve with: " + c.approveCommand(r)
}

func (c change) nativeWarning(reason Reason) string {
	return fmt.Sprintf("sluice: %s rolls out natively, without a canary: %s", c.subject(), nativeBecause[reason])
}

func (c change) revertWarning() string {
	return fmt.Sprintf("sluice: %s is back at its stable version: release %d ends and its canary goes away", c.subject(), c.release.ID)
}

func (c change) resumePromotionWarning() string {
	return fmt.Sprintf("sluice: release %d of %s was approved before: its promotion goes on", c.release.ID, c.subject())
}

func (c change) approvedWarning(given Approval) string {
	next := "it is promoted"
	if steps := len(c.release.Policy.steps()); c.release.Step < steps && !given.Full {
		next = fmt.Sprintf("step %d of %d comes next", c.release.Step+1, steps)
	}
	return fmt.Sprintf("sluice: step %d of release %d of %s is approved by %q; %s", c.release.Step, c.release.ID, c.subject(), c.User, next)
}

func (c change) alreadyWarning(by string) string {
	if by == "" {
		return fmt.Sprintf("sluice: release %d of %s is being promoted already", c.release.ID, c.subject())
	}
	return fmt.Sprintf("sluice: step %d of release %d of %s was approved by %q already", c.release.Step, c.release.ID, c.subject(), by)
}

func (c change) abortWarning() string {
	return fmt.Sprintf("sluice: release %d of %s is aborted; the stable version stays. Go on with another version, or try again: %s",
		c.release.ID, c.subject(), c.annotate(RetryAnnotation, c.release.Name()))
}

func (c change) abortedWarning() string {
	return fmt.Sprintf("sluice: release %d of %s is still held and aborted: %s. Apply another version, or: %s",
		c.release.ID, c.subject(), brief(c.release.Reason), c.annotate(RetryAnnotation, c.release.Name()))
}

func (c change) unpauseWarning() string {
	field := "paused: false"
	if c.Kind == StatefulSet {
		field = fmt.Sprintf("partition: %d", c.New.Spec.UpdateStrategy.Partition())
	}
	return fmt.Sprintf("sluice: %s stays held as release %d: %q approves nothing. Approve with: %s",
		c.subject(), c.release.ID, field, c.approveCommand(c.release))
}

func (c change) staleWarning(key, value string) string {
	return fmt.Sprintf("sluice: %s=%s does nothing: %s is at release %d, step %d, %s", key, value, c.subject(), c.release.ID, c.release.Step, c.release.Phase)
}

func (c change) notReadyMessage() string {
	if c.release.Phase == Reverting {
		return fmt.Sprintf("release %d of %s is being reverted to the stable version, so there is nothing to approve; follow it with: %s", c.release.ID, c.subject(), c.kubectl("rollout status"))
	}
	if c.release.Step == 0 {
		return fmt.Sprintf("release %d of %s has not begun: the workload was paused before. Step 1 starts with: %s", c.release.ID, c.subject(), c.resumeCommand())
	}
	why := "its pods are not available yet"
	if c.release.Reason != "" {
		why = brief(c.release.Reason)
	}
	look := fmt.Sprintf("kubectl get rs,pods -n %s -L %s,%s", c.New.Metadata.Namespace, PhaseLabel, StepLabel)
	if c.Kind == StatefulSet {
		look = fmt.Sprintf("kubectl get pods -n %s -L %s", c.New.Metadata.Namespace, appsv1.StatefulSetRevisionLabel)
	}
	return fmt.Sprintf("step %d of release %d of %s is not ready: %s. Look at its pods with %q and approve when it is Waiting",
		c.release.Step, c.release.ID, c.subject(), why, look)
}

func (c change) abortedMessage() string {
	return fmt.Sprintf("release %d of %s is aborted: %s. Apply another version, or try this one again: %s",
		c.release.ID, c.subject(), c.release.Reason, c.annotate(RetryAnnotation, c.release.Name()))
}

func (c change) fourEyesMessage() string {
	return fmt.Sprintf("step %d of release %d of %s needs somebody else's approval: %q is its author and %s is %s. Ask somebody who has the verb %q to run: %s",
		c.release.Step, c.release.ID, c.subject(), c.User, ApprovalAnnotation, fourEyes, VerbPromote, c.approveCommand(c.release))
}

func (c change) tooLateMessage() string {
	return fmt.Sprintf("release %d of %s is approved and the native rollout is under way: apply the old version to go back", c.release.ID, c.subject())
}

func (c change) strategyMessage() string {
	return fmt.Sprintf("the strategy of %s cannot change while release %d is under way: apply the old version first, or let it be promoted (\"%s\" once it is Waiting)",
		c.subject(), c.release.ID, c.approveCommand(c.release))
}

// twoStepsMessage says that a StatefulSet's new version cannot be held together with another change.
func (c change) twoStepsMessage(other string) string {
	return fmt.Sprintf("the pod template and %s of %s cannot change in one write, since a new version is held by the partition of a RollingUpdate beside pods of the old one: "+
		"apply %s alone first", other, c.subject(), other)
}

// ScaleToZeroMessage says why a workload with a release may not be scaled to 0, and the way out.
func ScaleToZeroMessage(kind, namespace, name string, r *Release) string {
	c := change{Review: Review{Kind: kind, New: &Workload{Metadata: Metadata{Namespace: namespace, Name: name}}}}
	return fmt.Sprintf("%s cannot be scaled to 0 while release %d is under way, since the wrong version would come back: "+
		"apply the old version first, or let it be promoted (\"%s\" once it is Waiting)", c.subject(), r.ID, c.approveCommand(r))
}

func overriddenWarning(s Settings) []string {
	if len(s.Overridden) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("sluice: the Namespace denies overrides: %s counts for nothing here", strings.Join(s.Overridden, ", "))}
}

// brief cuts a reason so that what follows it is still shown.
func brief(reason string) string {
	const most = 90
	if len(reason) <= most {
		return reason
	}
	return strings.ToValidUTF8(reason[:most], "") + "…"
}

func plural(n int32, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
