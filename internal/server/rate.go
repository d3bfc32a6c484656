package server

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
)

// rates refuses queries and mutations of who asks for more than a node gives one token, or one account, a second (rule X2): RATE_LIMITED with
// retryAt, and over HTTP the header Retry-After. An operation is charged 1, and 1 more for each limits.RowsPerCharge rows that it may
// read, and limits.UploadCharge for each file in its arguments; a multipart request pays for the first of them when it comes (admitUpload). What was saved up for limits.RateBurst may be spent at once. Opening a subscription is free: when a thousand apps come back together
// nobody did anything wrong, and how many open at once is bounded elsewhere.
//
// What is refused before it is executed, subscriptions too, is charged by the length of its document, since to find out what is wrong with it may
// take longer than to execute another; it may leave a debt (debts), and then all that the token asks for waits.
//
// It keeps to the node: two nodes give twice as much. It comes behind rows, which reckons the cost.
type rates struct {
	perToken, perAccount int // charges a second; 0: no limit
	now                  func() time.Time
	viewer               func(context.Context) (*auth.Viewer, error)
	present              func(context.Context, error) *gqlerror.Error
	tokens, accounts     *lru.LRU[*rate.Limiter]
}

// limitersKept is how many tokens, and how many accounts, are remembered; who is forgotten begins with everything saved up.
const limitersKept = 10_000

func newRates(perToken, perAccount int, viewer func(context.Context) (*auth.Viewer, error), present func(context.Context, error) *gqlerror.Error) *rates {
	return &rates{
		perToken: perToken, perAccount: perAccount, now: time.Now, viewer: viewer, present: present,
		tokens: lru.New[*rate.Limiter](limitersKept), accounts: lru.New[*rate.Limiter](limitersKept),
	}
}

// ExtensionName implements graphql.HandlerExtension.
func (*rates) ExtensionName() string { return "Rates" }

// Validate implements graphql.HandlerExtension.
func (*rates) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (r *rates) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if op.Operation.Operation == ast.Subscription {
		return nil
	}
	v, err := r.viewer(ctx)
	if err != nil || v == nil {
		return nil //nolint:nilerr // refused elsewhere
	}
	rows, _ := op.Stats.GetExtension(costName).(int)
	req := requestOf(ctx)
	paid := req.paid
	if paid > 0 {
		req.paid = 0 // for one operation
	}
	if err := r.charge(ctx, v, 1+rows/limits.RowsPerCharge+limits.UploadCharge*uploadsOf(op), paid); err != nil {
		settle(op)
		return r.present(ctx, err)
	}
	return nil
}

// debts refuses whatever comes of a token that is in debt, before anything of it is parsed, and notes of the rest what it costs to refuse it.
type debts struct{ rates *rates }

// refusalName is where an operation has what its refusal is charged; 0: nothing, since it was executed, or refused because of its rate.
const refusalName = "refusal"

// ExtensionName implements graphql.HandlerExtension.
func (debts) ExtensionName() string { return "Debts" }

// Validate implements graphql.HandlerExtension.
func (debts) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator.
func (d debts) MutateOperationParameters(ctx context.Context, p *graphql.RawParams) *gqlerror.Error {
	r := d.rates
	v, err := r.viewer(ctx)
	if err != nil || v == nil {
		return nil //nolint:nilerr // refused elsewhere
	}
	now := r.now()
	if limiter := limiterOf(ctx, r.tokens, tokenOf(v), r.perToken); limiter != nil && limiter.TokensAt(now) < 0 {
		return r.present(ctx, tooMuch(ctx, now, waitFor(limiter, 1, now)))
	}
	graphql.GetOperationContext(ctx).Stats.SetExtension(refusalName, 1+len(p.Query)/limits.RefusalBytes)
	return nil
}

// settle has nothing be charged for a refusal of an operation.
func settle(op *graphql.OperationContext) { op.Stats.SetExtension(refusalName, 0) }

// refused charges for an operation that was refused, once.
func (r *rates) refused(ctx context.Context, op *graphql.OperationContext) {
	charge, _ := op.Stats.GetExtension(refusalName).(int)
	v := requestOf(ctx).viewer
	if charge == 0 || v == nil {
		return
	}
	settle(op)
	r.owe(ctx, r.tokens, tokenOf(v), r.perToken, charge)
	if v.Account != "" {
		r.owe(ctx, r.accounts, v.Account, r.perAccount, charge)
	}
}

// owe takes a charge whether there is so much or not.
func (r *rates) owe(ctx context.Context, kept *lru.LRU[*rate.Limiter], key string, perSecond, charge int) {
	if limiter := limiterOf(ctx, kept, key, perSecond); limiter != nil {
		limiter.ReserveN(r.now(), min(charge, limiter.Burst()))
	}
}

// tokenOf tells a token from others, as well as its claims do.
func tokenOf(v *auth.Viewer) string {
	return v.Account + " " + string(v.Role) + " " + v.Subject + " " + v.TokenID
}

// charge charges a viewer, or says why not, which costs them nothing. paid is what they were charged for it before: it counts, and is kept. Errors: RATE_LIMITED.
func (r *rates) charge(ctx context.Context, v *auth.Viewer, charge, paid int) error {
	now := r.now()
	token, wait := take(ctx, r.tokens, tokenOf(v), r.perToken, charge, paid, now)
	if wait == 0 && v.Account != "" {
		if _, wait = take(ctx, r.accounts, v.Account, r.perAccount, charge, paid, now); wait > 0 && token != nil {
			token.CancelAt(now)
		}
	}
	if wait == 0 {
		return nil
	}
	return tooMuch(ctx, now, wait)
}

func tooMuch(ctx context.Context, now time.Time, wait time.Duration) error {
	return &models.Error{
		Code: models.CodeRateLimited, Message: "more is asked for than a token or an account is given a second; try again later", RetryAt: retryAfter(ctx, now, wait),
	}
}

// retryAfter tells a client over HTTP when to come again, in whole seconds, and returns the instant.
func retryAfter(ctx context.Context, now time.Time, wait time.Duration) models.Time {
	seconds := int(math.Ceil(wait.Seconds()))
	if header := requestOf(ctx).header; header != nil {
		header.Set("Retry-After", strconv.Itoa(seconds))
	}
	return models.At(now.Add(time.Duration(seconds) * time.Second))
}

// take takes a charge from a key's limiter, but for what was paid of it, or answers how long it would have to wait: to pay all of it, since who comes again pays again.
func take(ctx context.Context, kept *lru.LRU[*rate.Limiter], key string, perSecond, charge, paid int, now time.Time) (*rate.Reservation, time.Duration) {
	limiter := limiterOf(ctx, kept, key, perSecond)
	if limiter == nil {
		return nil, 0
	}
	charge = min(charge, limiter.Burst())
	taken := limiter.ReserveN(now, max(charge-paid, 0))
	if taken.DelayFrom(now) == 0 {
		return taken, 0
	}
	taken.CancelAt(now)
	return nil, waitFor(limiter, charge, now)
}

// waitFor is how long a limiter has to be waited for until it has a charge.
func waitFor(limiter *rate.Limiter, charge int, now time.Time) time.Duration {
	whole := limiter.ReserveN(now, charge)
	defer whole.CancelAt(now)
	return whole.DelayFrom(now)
}

// limiterOf is a key's limiter; nil: there is no limit.
func limiterOf(ctx context.Context, kept *lru.LRU[*rate.Limiter], key string, perSecond int) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	limiter, ok := kept.Get(ctx, key)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(perSecond), perSecond*int(limits.RateBurst/time.Second))
		kept.Add(ctx, key, limiter)
	}
	return limiter
}
