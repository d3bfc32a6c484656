package tests

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"clientele/internal/relay"
)

// names are the values that a case called by a name: "id anna", "cursor here".
type names map[string]string

var (
	placeholder = regexp.MustCompile(`<((?:id|scene|cursor|text) [^<>]+)>`)
	whole       = regexp.MustCompile(`^<((?:id|scene|cursor|text) [^<>]+)>$`)
	offset      = regexp.MustCompile(`^<time ([+-].+)>$`)
)

// timeForm is how the API writes an instant.
const timeForm = "2006-01-02T15:04:05.000000Z"

// fill puts values for the names in a text, or anywhere in a tree of variables.
func (n names) fill(v any) any {
	switch v := v.(type) {
	case string:
		return placeholder.ReplaceAllStringFunc(v, func(s string) string {
			if value, ok := n[s[1:len(s)-1]]; ok {
				return value
			}
			return s
		})
	case map[string]any:
		filled := make(map[string]any, len(v))
		for k, e := range v {
			filled[k] = n.fill(e)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, e := range v {
			filled[i] = n.fill(e)
		}
		return filled
	}
	return v
}

// match reports how got differs from want; empty when it does not. An object may have more fields
// than are wanted, a list not. See README.md for the words in angle brackets.
func (n names) match(want, got any, now time.Time, path string) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return differ(path, "an object", got)
		}
		for _, k := range sortedKeys(want) {
			value, present := object[k]
			if !present {
				return fmt.Sprintf("%s.%s is not there", path, k)
			}
			if d := n.match(want[k], value, now, path+"."+k); d != "" {
				return d
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return differ(path, fmt.Sprintf("%d items", len(want)), got)
		}
		for i := range want {
			if d := n.match(want[i], list[i], now, fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	case string:
		return n.matchText(want, got, now, path)
	}
	w, _ := json.Marshal(want)
	g, _ := json.Marshal(got)
	if string(w) != string(g) {
		return differ(path, string(w), got)
	}
	return ""
}

func (n names) matchText(want string, got any, now time.Time, path string) string {
	text, isText := got.(string)
	switch {
	case want == "<any>":
		return ""
	case want == "<time>":
		if _, err := time.Parse(timeForm, text); err != nil {
			return differ(path, "an instant", got)
		}
		return ""
	case offset.MatchString(want):
		by, err := time.ParseDuration(offset.FindStringSubmatch(want)[1])
		if err != nil {
			return path + ": " + err.Error()
		}
		if w := now.Add(by).UTC().Format(timeForm); text != w {
			return differ(path, w, got)
		}
		return ""
	case strings.HasPrefix(want, "<one of "):
		if words := strings.Fields(strings.Trim(want, "<>"))[2:]; !isText || !slices.Contains(words, text) {
			return differ(path, want, got)
		}
		return ""
	case whole.MatchString(want):
		name := whole.FindStringSubmatch(want)[1]
		known, ok := n[name]
		switch {
		case !isText || text == "":
			return differ(path, want, got)
		case ok && known != text:
			return differ(path, want+" = "+known, got)
		case ok:
			return ""
		}
		if _, isID := relay.ParseID(text); strings.HasPrefix(name, "id ") && !isID {
			return differ(path, "an id", got)
		}
		n[name] = text
		return ""
	}
	if filled, _ := n.fill(want).(string); !isText || text != filled {
		return differ(path, fmt.Sprintf("%q", filled), got)
	}
	return ""
}

func differ(path, want string, got any) string {
	text, _ := json.Marshal(got)
	return fmt.Sprintf("%s: want %s, got %s", path, want, text)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// plain is what a client may see of a value, for -update: names for what has one, <time> for
// instants.
func (n names) plain(v any) any {
	switch v := v.(type) {
	case string:
		for _, name := range sortedNames(n) {
			if n[name] == v {
				return "<" + name + ">"
			}
		}
		if _, err := time.Parse(timeForm, v); err == nil {
			return "<time>"
		}
		if _, ok := relay.ParseID(v); ok {
			return "<any>"
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = n.plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = n.plain(e)
		}
		return out
	}
	return v
}

func sortedNames(n names) []string {
	keys := make([]string, 0, len(n))
	for k := range n {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
