package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"clientele/internal/config"
)

// TestPersisted reads what graphql-codegen and relay-compiler wrote, and names the file of what it cannot take.
func TestPersisted(t *testing.T) {
	folder := filepath.Join("..", "..", "tests", "schema", "persisted")
	s := config.Server{TrustedFiles: []string{filepath.Join(folder, "codegen.json"), filepath.Join(folder, "relay.json")}}
	documents, err := s.Persisted()
	if err != nil || len(documents) < 20 {
		t.Fatalf("%d documents: %v", len(documents), err)
	}
	for id, document := range documents {
		if strings.Contains(id, ":") || !strings.Contains(document, "{") {
			t.Errorf("%s is %q", id, document)
		}
	}
	first := mustWrite(t, "first.json", `{"sha256:a":"{a}"}`)
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"absent":            {[]string{filepath.Join(t.TempDir(), "absent.json")}, "absent.json"},
		"no JSON":           {[]string{mustWrite(t, "text.json", "{")}, "text.json is no JSON object of documents by id"},
		"null":              {[]string{mustWrite(t, "null.json", "null")}, "null.json is no JSON object"},
		"a list":            {[]string{mustWrite(t, "list.json", "[]")}, "list.json is no JSON object"},
		"numbers":           {[]string{mustWrite(t, "numbers.json", `{"a":1}`)}, "numbers.json is no JSON object"},
		"an empty id":       {[]string{mustWrite(t, "ids.json", `{"":"{a}"}`)}, "ids.json has an empty id or document"},
		"an empty document": {[]string{mustWrite(t, "documents.json", `{"a":""}`)}, "documents.json has an empty id or document"},
		"two of one id":     {[]string{first, mustWrite(t, "second.json", `{"a":"{b}"}`)}, "second.json has another document"},
	} {
		s := config.Server{TrustedFiles: c.files}
		if _, err := s.Persisted(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	s = config.Server{TrustedFiles: []string{first, mustWrite(t, "same.json", `{"a":"{a}"}`)}}
	if documents, err := s.Persisted(); err != nil || len(documents) != 1 {
		t.Errorf("the same twice: %v, %v", documents, err)
	}
}

// TestTrustedFaults has the settings of trusted documents that do not go together.
func TestTrustedFaults(t *testing.T) {
	for name, c := range map[string]struct {
		mode  string
		files []string
		want  string
	}{
		"enforced without a list":  {config.TrustedEnforce, nil, "--trusted-files: without any"},
		"a list that is not there": {config.TrustedOff, []string{filepath.Join(t.TempDir(), "absent.json")}, "absent.json cannot be read"},
		"another mode":             {"strict", nil, `--trusted-documents: "strict" is none of off, log, enforce`},
	} {
		s := config.Default()
		s.TrustedDocuments, s.TrustedFiles = c.mode, c.files
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
