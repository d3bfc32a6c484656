package demo

import (
	"context"
	"time"

	"clientele/internal/apiclient"
)

// bearer asks the API with one token. It is safe for concurrent use.
type bearer struct{ api apiclient.Client }

const (
	// requestTime is how long one request may take; the product's own limit is shorter.
	requestTime = 30 * time.Second
	// lastWords is how long a request may go on after its context ended: one that is cut off may
	// have been carried out or not, and this one is soon answered.
	lastWords = time.Second
)

type vars = apiclient.Vars

// ask runs a query or mutation and reads its data into out. Errors of the API are an *apiclient.Refusal.
// What was asked before ctx ended is given lastWords to be answered.
func (b bearer) ask(ctx context.Context, document string, v vars, out any) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	return b.api.Ask(asking, document, v, out)
}
