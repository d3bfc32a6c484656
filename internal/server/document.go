package server

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"clientele/limits"
	"clientele/models"
)

// documents refuses documents that are too deep, too long or too full of aliases, root fields or directives before they
// are validated, since validation itself can be made to take seconds (rule X2). Its own work is
// linear in the document: a fragment is measured once, however often it is spread.
type documents struct {
	tokens, depth, aliases int
	present                func(context.Context, error) *gqlerror.Error
	// passed remembers texts that were measured, so that a client's usual operations are parsed
	// once.
	passed *lru.LRU[struct{}]
}

// passedKept is how many texts are remembered; texts longer than passedBytes are not.
const (
	passedKept  = 1_000
	passedBytes = 16 << 10
)

func newDocuments(tokens, depth, aliases int, present func(context.Context, error) *gqlerror.Error) *documents {
	return &documents{tokens: tokens, depth: depth, aliases: aliases, present: present, passed: lru.New[struct{}](passedKept)}
}

// ExtensionName implements graphql.HandlerExtension.
func (*documents) ExtensionName() string { return "Documents" }

// Validate implements graphql.HandlerExtension.
func (*documents) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator. What does not parse is
// left to the executor, which says why.
func (d *documents) MutateOperationParameters(ctx context.Context, p *graphql.RawParams) *gqlerror.Error {
	if _, ok := d.passed.Get(ctx, p.Query); ok {
		return nil
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: p.Query}, d.tokens)
	if err != nil {
		if strings.Contains(err.Error(), "exceeded token limit") {
			return d.present(ctx, models.TooMany("query", d.tokens, "has more than %d tokens", d.tokens))
		}
		return nil
	}
	m := measure{fragments: map[string]*size{}, doc: doc}
	for _, op := range doc.Operations {
		s := m.of(op.SelectionSet)
		m.directives += len(op.Directives)
		if s.roots > limits.QueryRootFields {
			return d.present(ctx, models.TooMany("query", limits.QueryRootFields, "has more than %d root fields", limits.QueryRootFields))
		}
		if m.directives > limits.QueryDirectives {
			return d.present(ctx, models.TooMany("query", limits.QueryDirectives, "has more than %d directives", limits.QueryDirectives))
		}
		if s.depth > d.depth {
			return d.present(ctx, models.TooMany("query", d.depth, "is nested deeper than %d", d.depth))
		}
		if m.fields > limits.QueryFields {
			return d.present(ctx, models.TooMany("query", limits.QueryFields, "selects more than %d fields in one place", limits.QueryFields))
		}
		if s.aliases > d.aliases {
			return d.present(ctx, models.TooMany("query", d.aliases, "has more than %d aliases", d.aliases))
		}
	}
	if !isComparable(doc, limits.QueryComparisons) {
		return d.present(ctx, models.TooMany("query", limits.QueryComparisons,
			"repeats fields so often that comparing them takes more than %d steps", limits.QueryComparisons))
	}
	if len(p.Query) <= passedBytes {
		d.passed.Add(ctx, p.Query, struct{}{})
	}
	return nil
}

// shortTexts keeps long documents out of a cache: a thousand of the longest would be a gigabyte.
type shortTexts struct {
	graphql.Cache[*ast.QueryDocument]
}

// Add implements graphql.Cache.
func (c shortTexts) Add(ctx context.Context, key string, doc *ast.QueryDocument) {
	if len(key) <= passedBytes {
		c.Cache.Add(ctx, key, doc)
	}
}

// size is what a selection amounts to, its fragments included wherever they are spread. roots are its own fields, not those below them.
type size struct{ depth, aliases, roots int }

// most bounds the sums: a fragment that doubles at each level must not overflow.
const most = 1 << 20

type measure struct {
	doc        *ast.QueryDocument
	fields     int              // the most of one selection set
	directives int              // of all selections, each counted once
	fragments  map[string]*size // nil while one is being measured: a circle, which validation refuses
}

func (m *measure) of(set ast.SelectionSet) size {
	var s size
	m.fields = max(m.fields, len(set))
	for _, sel := range set {
		var inner size
		switch sel := sel.(type) {
		case *ast.Field:
			m.directives += len(sel.Directives)
			inner = m.of(sel.SelectionSet)
			inner.depth++
			if strings.HasPrefix(sel.Name, "__") {
				inner.depth = 0 // introspection is deep by itself and bounded by a validation rule
			}
			inner.roots = 1
			if sel.Alias != "" && sel.Alias != sel.Name {
				inner.aliases++
			}
		case *ast.InlineFragment:
			m.directives += len(sel.Directives)
			inner = m.of(sel.SelectionSet)
		case *ast.FragmentSpread:
			m.directives += len(sel.Directives)
			inner = m.fragment(sel.Name)
		}
		s.depth = max(s.depth, inner.depth)
		s.aliases = min(s.aliases+inner.aliases, most)
		s.roots = min(s.roots+inner.roots, most)
	}
	return s
}

func (m *measure) fragment(name string) size {
	if s, seen := m.fragments[name]; seen {
		if s == nil {
			return size{}
		}
		return *s
	}
	f := m.doc.Fragments.ForName(name)
	if f == nil {
		return size{}
	}
	m.fragments[name] = nil
	s := m.of(f.SelectionSet)
	m.fragments[name] = &s
	return s
}

// untold are the rules of validation whose messages name what is close to a name that is not there, each with its twin that does not. The
// executor has two more such pairs, and swaps those itself.
var untold = map[string]core.Rule{
	rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
	rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
	rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
}

// validation is the rules of validation, with or without suggestions: who may not introspect must not be told the schema by guessing (rule V8).
func validation(suggests bool) *rules.Rules {
	all := rules.NewDefaultRules()
	if !suggests {
		for name, rule := range untold {
			all.RemoveRule(name)
			all.AddRule(rule.Name, rule.RuleFunc)
		}
	}
	return all
}
