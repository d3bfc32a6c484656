package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/transport"
	"clientele/models"
)

// trusted finds documents that a request names and does not send, and knows which were persisted when front ends were built (rule V8,
// ADR 0036). It is safe for concurrent use.
type trusted struct {
	mode      string            // config.TrustedOff, TrustedLog or TrustedEnforce
	persisted map[string]string // by id
	listed    map[string]bool   // the persisted documents themselves
	// sent remembers documents that clients sent with their hash, by account and hash: no account learns what another sends.
	sent    *lru.LRU[string]
	viewer  func(context.Context) (*auth.Viewer, error)
	present func(context.Context, error) *gqlerror.Error
	counts  *prometheus.CounterVec
	log     *slog.Logger
}

func newTrusted(s *Server, persisted map[string]string) *trusted {
	t := &trusted{
		mode: s.settings.TrustedDocuments, persisted: persisted, listed: make(map[string]bool, len(persisted)), sent: lru.New[string](passedKept),
		viewer: s.viewerOf, present: s.present, counts: s.metrics.documents, log: s.log,
	}
	for _, document := range persisted {
		t.listed[document] = true
	}
	return t
}

// ExtensionName implements graphql.HandlerExtension.
func (*trusted) ExtensionName() string { return "TrustedDocuments" }

// Validate implements graphql.HandlerExtension.
func (*trusted) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator. Errors: NOT_FOUND for an id or hash that is not known, with the
// message after which Apollo's clients send the document; INVALID for a hash that is not the document's; FORBIDDEN for a document that is
// not trusted, where that is enforced.
func (t *trusted) MutateOperationParameters(ctx context.Context, p *graphql.RawParams) *gqlerror.Error {
	v, err := t.viewer(ctx)
	if err != nil || v == nil {
		return nil //nolint:nilerr // access has refused them
	}
	hash, err := t.hashOf(p.Extensions)
	if err != nil {
		return t.present(ctx, err)
	}
	key := v.Account + "/" + hash
	switch id, _ := p.Extensions[transport.DocumentID].(string); {
	case p.Query == "":
		if id == "" {
			id = hash
		}
		found := t.persisted[config.DocumentID(id)]
		if found == "" && hash != "" {
			found, _ = t.sent.Get(ctx, key)
		}
		if found == "" {
			return t.present(ctx, models.Errorf(models.CodeNotFound, "PersistedQueryNotFound"))
		}
		p.Query = found
	case hash != "":
		if sum := sha256.Sum256([]byte(p.Query)); hex.EncodeToString(sum[:]) != hash && t.persisted[hash] != p.Query {
			return t.present(ctx, models.Invalid("extensions.persistedQuery.sha256Hash", "is not the SHA-256 of the document"))
		}
	}
	if t.mode != config.TrustedOff && !t.listed[p.Query] {
		if t.enforced(v) {
			t.counts.WithLabelValues("refused").Inc()
			return t.present(ctx, models.Errorf(models.CodeForbidden, "the document is none of those that are trusted here"))
		}
		t.counts.WithLabelValues("free").Inc()
		sum := sha256.Sum256([]byte(p.Query))
		t.log.InfoContext(ctx, "free document", "sha256", hex.EncodeToString(sum[:]), "role", string(v.Role), "account", v.Account)
	}
	if hash != "" && len(p.Query) <= passedBytes {
		t.sent.Add(ctx, key, p.Query)
	}
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator: with free documents goes introspection, in a trusted one too.
func (t *trusted) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	v, err := t.viewer(ctx)
	if err != nil || v == nil || !t.enforced(v) {
		return nil //nolint:nilerr // access has refused them.
	}
	if selects(op, "__schema") || selects(op, "__type") {
		return t.present(ctx, errNoIntrospection)
	}
	return nil
}

var errNoIntrospection = models.Errorf(models.CodeForbidden, "introspection is not for ADVISOR where trusted documents are enforced")

// enforced reports whether a viewer may send trusted documents alone (rule V8).
func (t *trusted) enforced(v *auth.Viewer) bool {
	return t.mode == config.TrustedEnforce && v.Role == auth.RoleAdvisor
}

// hashOf is the hash by which a request names a document, in lower case; empty without one. INVALID for another version than 1, or what is no SHA-256
// and no id of a persisted document either: Apollo's link says what codegen made, which is a SHA-1 unless it is told otherwise.
func (t *trusted) hashOf(extensions map[string]any) (string, error) {
	persisted, named := extensions["persistedQuery"].(map[string]any)
	if !named {
		return "", nil
	}
	hash, _ := persisted["sha256Hash"].(string)
	hash = strings.ToLower(hash)
	if raw, err := hex.DecodeString(hash); (err != nil || len(raw) != sha256.Size) && t.persisted[hash] == "" {
		return "", models.Invalid("extensions.persistedQuery.sha256Hash", "is no SHA-256 in hexadecimal digits")
	}
	if version, ok := persisted["version"].(interface{ String() string }); !ok || version.String() != "1" {
		return "", models.Invalid("extensions.persistedQuery.version", "is not 1")
	}
	return hash, nil
}
