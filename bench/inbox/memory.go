package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
)

// memory runs gqlgen, and nothing of the product around it, on a page that was read before, so many
// times at once, and answers what a page cost.
func (f *handwritten) memory(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	each, answer, err := func() (time.Duration, json.RawMessage, error) {
		p, err := f.read(r.Context(), q.Get("openid"), q.Get("first"))
		if err != nil {
			return 0, nil, err
		}
		atOnce, err := strconv.Atoi(q.Get("at_once"))
		if err != nil {
			return 0, nil, err
		}
		over, err := time.ParseDuration(q.Get("time"))
		if err != nil {
			return 0, nil, err
		}
		return p.execute(r.Context(), atOnce, over)
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Each": each, "Answer": answer}) // the load sees what is missing.
}

func (p *page) execute(ctx context.Context, atOnce int, over time.Duration) (time.Duration, json.RawMessage, error) {
	e := executor.New(graph.NewExecutableSchema(graph.Config{Resolvers: &resolvers{page: p}}))
	e.SetQueryCache(lru.New[*ast.QueryDocument](1))
	var answer json.RawMessage
	var n atomic.Int64
	errs := make([]error, atOnce)
	began := time.Now()
	end := began.Add(over)
	var wg sync.WaitGroup
	for i := range atOnce {
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) {
				var text []byte
				if text, errs[i] = execute(ctx, e, len(p.conversations)); n.Add(1) == 1 {
					answer = text
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began) / time.Duration(n.Load()), answer, errors.Join(errs...)
}

func execute(ctx context.Context, e *executor.Executor, first int) ([]byte, error) {
	ctx = graphql.StartOperationTrace(ctx)
	op, faults := e.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: map[string]any{"first": json.Number(strconv.Itoa(first))}})
	if len(faults) > 0 {
		return nil, faults
	}
	respond, ctx := e.DispatchOperation(ctx, op)
	answer := respond(ctx)
	if len(answer.Errors) > 0 {
		return nil, answer.Errors
	}
	return json.Marshal(answer)
}

// resolvers answer the page from memory. What the document does not ask for has none.
type resolvers struct {
	graph.ResolverRoot
	page *page
}

type (
	queryResolver struct {
		graph.QueryResolver
		*page
	}
	conversationResolver struct {
		graph.ConversationResolver
		*page
	}
	contactabilityResolver struct{}
)

func (r *resolvers) Query() graph.QueryResolver { return queryResolver{page: r.page} }

func (r *resolvers) Conversation() graph.ConversationResolver {
	return conversationResolver{page: r.page}
}

func (r *resolvers) Contactability() graph.ContactabilityResolver { return contactabilityResolver{} }

// Inbox is the page.
func (q queryResolver) Inbox(_ context.Context, first *int, _ *string, _ *graph.InboxFilter) (*models.ConversationConnection, error) {
	c := relay.Connect[*models.Conversation, models.ConversationEdge](q.conversations, relay.Page{First: *first}, func(c *models.Conversation) relay.Keyset {
		return relay.Keyset{Sort: int64(c.ActiveAt), Key: c.CustomerID}
	})
	c.PageInfo.HasNextPage = q.more
	return c, nil
}

// Customer is whom a conversation is with.
func (c conversationResolver) Customer(_ context.Context, obj *models.Conversation) (*models.Customer, error) {
	return c.customers[obj.CustomerID], nil
}

// LastMessage is a conversation's latest.
func (c conversationResolver) LastMessage(_ context.Context, obj *models.Conversation) (*models.Message, error) {
	return c.messages[obj.LastMessageID], nil
}

// Contactability is the ledger's answer, from memory too.
func (c conversationResolver) Contactability(_ context.Context, obj *models.Conversation) (*models.Contactability, error) {
	may := c.mayWrite(obj, models.At(time.Now()))
	return &may, nil
}

// Reason is null where there is none.
func (contactabilityResolver) Reason(_ context.Context, obj *models.Contactability) (*models.ContactReason, error) {
	if obj.Reason == "" {
		return nil, nil
	}
	return &obj.Reason, nil
}
