package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Persisted reads --trusted-files: documents by their ids, of all files together. An id is as [DocumentID] has it. Files are those of
// graphql-codegen's persistedDocuments and relay-compiler's persistConfig. Errors name the file, and quote nothing of it.
func (s *Server) Persisted() (map[string]string, error) {
	all := map[string]string{}
	for _, file := range s.TrustedFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var documents map[string]string
		if json.Unmarshal(text, &documents) != nil || documents == nil {
			return nil, fmt.Errorf("%s is no JSON object of documents by id", file)
		}
		for id, document := range documents {
			id = DocumentID(id)
			if id == "" || document == "" {
				return nil, fmt.Errorf("%s has an empty id or document", file)
			}
			if other, known := all[id]; known && other != document {
				return nil, fmt.Errorf("%s has another document for an id than a file before it", file)
			}
			all[id] = document
		}
	}
	return all, nil
}

// DocumentID is the id of a persisted document without the name of its hash, which some clients send and others do not.
func DocumentID(id string) string { return strings.TrimPrefix(id, "sha256:") }

// checkTrusted adds the faults of the settings of trusted documents.
func (s *Server) checkTrusted(f *faults) {
	switch s.TrustedDocuments {
	case TrustedOff, TrustedLog:
	case TrustedEnforce:
		if len(s.TrustedFiles) == 0 {
			f.add("trusted-files", "without any, %s refuses an advisor everything", TrustedEnforce)
		}
	default:
		f.add("trusted-documents", "%q is none of %s, %s, %s", s.TrustedDocuments, TrustedOff, TrustedLog, TrustedEnforce)
	}
	if _, err := s.Persisted(); err != nil {
		if unread, ok := errors.AsType[*os.PathError](err); ok {
			f.add("trusted-files", "%s cannot be read: %s", unread.Path, unread.Err)
		} else {
			f.add("trusted-files", "%s", err)
		}
	}
}
