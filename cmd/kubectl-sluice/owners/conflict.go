package owners

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Conflict is a field that an apply would take from its owner, as the API server names both.
type Conflict struct {
	// Message is `conflict with "helm"`.
	Message string
	Field   string
}

// Conflicts asks what a server-side apply of an object would conflict with: none where it may go through.
func (r *Reader) Conflicts(ctx context.Context, filed Filed, manager string) ([]Conflict, error) {
	body, err := filed.Object.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", filed.Ref, err)
	}
	_, err = r.resource(filed.Ref).Patch(ctx, filed.Name, types.ApplyPatchType, body, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: manager, FieldValidation: metav1.FieldValidationStrict,
	})
	if err == nil {
		return nil, nil
	}
	if conflicts := conflictsOf(err); len(conflicts) > 0 {
		return conflicts, nil
	}
	return nil, fmt.Errorf("trying to apply %s%s: %w", filed.Ref, filed.where(), err)
}

func conflictsOf(err error) []Conflict {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var conflicts []Conflict
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			conflicts = append(conflicts, Conflict{Message: cause.Message, Field: cause.Field})
		}
	}
	return conflicts
}
