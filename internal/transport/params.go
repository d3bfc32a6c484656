package transport

import (
	"bytes"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
)

// paramsError says what is wrong with a request. It is safe to show: nothing of the request is in it.
type paramsError string

// Error implements error.
func (e paramsError) Error() string { return string(e) }

// DocumentID is the extension under which an executor finds `documentId`, the name that a client sends in place of a document it does not send
// (draft of GraphQL over HTTP, Appendix A). What is not named so may be named by the extension persistedQuery, as Apollo's clients do.
const DocumentID = "documentId"

// persistedQuery is the extension of requests whose document the server may know by its hash.
const persistedQuery = "persistedQuery"

// decodeParams takes a GraphQL request from the members of a JSON object. Types are strict (GraphQL over HTTP, "Request Parameters"): query
// is a string that is not empty, operationName a string, variables and extensions are objects; the last three may be null or absent. The
// members come as a map and not as a struct because encoding/json would also take `Query` for `query`. Without query there must be a documentId, a string that is not empty,
// or the extension persistedQuery; then the executor has to find the document, or answers as to an empty one.
func decodeParams(members map[string]json.RawMessage) (*graphql.RawParams, error) {
	params := &graphql.RawParams{}
	var ok bool
	isNamed := !isNull(members[DocumentID])
	if params.Query, ok = decodeString(members["query"]); !ok {
		return nil, paramsError("`query` must be a string that is not empty")
	}
	if params.OperationName, ok = decodeString(members["operationName"]); !ok {
		return nil, paramsError("`operationName` must be a string or null")
	}
	if params.Variables, ok = decodeObject(members["variables"]); !ok {
		return nil, paramsError("`variables` must be an object or null")
	}
	if params.Extensions, ok = decodeObject(members["extensions"]); !ok {
		return nil, paramsError("`extensions` must be an object or null")
	}
	if isNamed {
		id, ok := decodeString(members[DocumentID])
		if !ok || id == "" {
			return nil, paramsError("`documentId` must be a string that is not empty")
		}
		if params.Query != "" {
			return nil, paramsError("`query` and `documentId` exclude one another")
		}
		if params.Extensions == nil {
			params.Extensions = map[string]any{}
		}
		params.Extensions[DocumentID] = id
	} else {
		delete(params.Extensions, DocumentID)
		if _, hashed := params.Extensions[persistedQuery].(map[string]any); params.Query == "" && !hashed {
			return nil, paramsError("`query` must be a string that is not empty")
		}
	}
	return params, nil
}

// decodeString returns "" for what is absent or null.
func decodeString(raw json.RawMessage) (string, bool) {
	if isNull(raw) {
		return "", true
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// decodeObject returns nil for what is absent or null. Numbers stay as they were written: an integer of 64 bits is more than a float64 can
// hold.
func decodeObject(raw json.RawMessage) (map[string]any, bool) {
	if isNull(raw) {
		return nil, true
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var object map[string]any
	return object, dec.Decode(&object) == nil
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(bytes.TrimSpace(raw)) == "null"
}
