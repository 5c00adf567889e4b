package hashing

import (
	"encoding/json"
	"fmt"
)

// Object is the content of one ConfigMap or Secret, passed in to be hashed and never kept. An object that does not exist
// is not passed in at all.
//
// Its values must not reach a log: however it is printed or marshalled, only kind and name appear.
type Object struct {
	Kind Kind
	Name string
	// Data is a ConfigMap's data or a Secret's data. BinaryData is a ConfigMap's binaryData.
	Data, BinaryData map[string][]byte
	// Type is a Secret's type.
	Type string
	// Ignored objects carry AnnotationConfig: ConfigIgnore; a digest leaves them out.
	Ignored bool
	// AtOnce is the value of AnnotationConfigAtOnce, 0 where there is none that is valid.
	AtOnce int
}

// Format implements fmt.Formatter for every verb.
func (o Object) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s %q", string(o.Kind), o.Name)
}

// MarshalJSON keeps values out of structured logs.
func (o Object) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"kind": string(o.Kind), "name": o.Name})
}

func (o Object) has(key string) bool {
	_, data := o.Data[key]
	_, binary := o.BinaryData[key]
	return data || binary
}

// identity is what tells two objects of one namespace apart.
type identity struct {
	kind Kind
	name string
}

func index(objects []Object) map[identity]Object {
	byIdentity := make(map[identity]Object, len(objects))
	for _, object := range objects {
		byIdentity[identity{object.Kind, object.Name}] = object
	}
	return byIdentity
}
