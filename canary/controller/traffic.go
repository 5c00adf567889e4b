package controller

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic"
	"sluice.dev/sluice/canary/traffic/split"
)

// observeTraffic reads what stands in front of the workload.
func (r *reconciler) observeTraffic(ctx context.Context, s *snapshot) error {
	w := r.behind(s)
	w.Labels, w.Selector = templateLabels(s.workload.object), s.workload.selector
	w.Owner, w.Policy = s.workload.reference(), s.release.Policy
	w.Stable, w.Canary = s.versions()
	if s.release.Traffic != nil {
		w.Divided = s.release.Traffic.Routes
	}
	var err error
	if s.traffic, err = r.router.Look(ctx, w); err != nil {
		return err
	}
	s.observed.Traffic = s.traffic.State
	return nil
}

// behind is the workload as its traffic knows it.
func (r *reconciler) behind(s *snapshot) traffic.Workload {
	label := hashLabel
	if r.kind == statefulSetKind {
		label = appsv1.StatefulSetRevisionLabel
	}
	return traffic.Workload{Kind: r.kind.Kind, Namespace: s.key.Namespace, Name: s.key.Name, HashLabel: label}
}

// versions returns the values of the label by which the pods of the two versions differ; empty where one is not known.
func (s *snapshot) versions() (stable, canaryValue string) {
	if s.observed.Kind == canary.StatefulSet {
		return s.revisionNames[s.observed.Workload.Current], s.revisionNames[s.release.Canary]
	}
	most := int32(-1)
	for _, rs := range s.replicaSets {
		of := canary.Revision{Hash: rs.state.TemplateHash, Digest: rs.state.TemplateDigest}
		if rs.state.Owned && of == s.release.Stable && rs.state.Replicas > most {
			stable, most = templateHashLabel(rs), rs.state.Replicas
		}
	}
	return stable, canary.CanaryHash(s.release)
}

// sweepTraffic gives back what the release of a workload left divided.
func (r *reconciler) sweepTraffic(ctx context.Context, s *snapshot) (traffic.Left, error) {
	w := r.behind(s)
	if s.workload != nil {
		w.Written = split.Written(s.workload.object, nil)
		w.GoesOn = s.workload.object.GetLabels()[canary.PhaseLabel] == string(canary.Promoting)
	}
	return r.router.Sweep(ctx, w)
}
