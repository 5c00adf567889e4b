package certs

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mattbaird/jsonpatch"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patch applies the operations to the configuration as it was read, or fails
// with a conflict: the API server compares the resourceVersion of the patched
// object, and the indices of the paths hold only for that one. A JSON patch
// carries no field that this program may not know.
func (a *Authority) patch(ctx context.Context, c configuration, operations []jsonpatch.JsonPatchOperation) error {
	guard := jsonpatch.NewPatch("replace", "/metadata/resourceVersion", c.object.GetResourceVersion())
	data, err := json.Marshal(append([]jsonpatch.JsonPatchOperation{guard}, operations...))
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	target := c.object.DeepCopyObject().(client.Object)
	return a.client.Patch(ctx, target, client.RawPatch(types.JSONPatchType, data), fieldManager)
}
