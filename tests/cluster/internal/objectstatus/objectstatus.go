// Package objectstatus shows how tools that know nothing of Drover judge its
// objects: by the conventions that kstatus implements.
package objectstatus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// line is printed for each object.
type line struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Print reads objects, lists or a stream of either, and writes a JSON line for
// each object.
func Print(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(in)
	encoder := json.NewEncoder(out)
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read object: %w", err)
		}
		objects, err := split(value)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := printOne(encoder, object); err != nil {
				return err
			}
		}
	}
}

// split returns the items of a JSON array, of what `kubectl get -o json` calls
// a List, or the one object that it is.
func split(value json.RawMessage) ([]*unstructured.Unstructured, error) {
	if bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
		var items []json.RawMessage
		if err := json.Unmarshal(value, &items); err != nil {
			return nil, fmt.Errorf("parse objects: %w", err)
		}
		var objects []*unstructured.Unstructured
		for _, item := range items {
			parts, err := split(item)
			if err != nil {
				return nil, err
			}
			objects = append(objects, parts...)
		}
		return objects, nil
	}
	object := &unstructured.Unstructured{}
	// Unlike encoding/json, this keeps whole numbers whole, as kstatus wants them.
	if err := utiljson.Unmarshal(value, &object.Object); err != nil {
		return nil, fmt.Errorf("parse object: %w", err)
	}
	if !object.IsList() {
		return []*unstructured.Unstructured{object}, nil
	}
	var objects []*unstructured.Unstructured
	err := object.EachListItem(func(item runtime.Object) error {
		objects = append(objects, item.(*unstructured.Unstructured))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	return objects, nil
}

func printOne(encoder *json.Encoder, object *unstructured.Unstructured) error {
	result, err := status.Compute(object)
	if err != nil {
		return fmt.Errorf("judge %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return encoder.Encode(line{Status: result.Status.String(), Message: result.Message})
}
