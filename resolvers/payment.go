package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"clientele/services"
	"context"
	"fmt"
)

func (r *mutationResolver) RecordPayment(ctx context.Context, input graph.RecordPaymentInput) (*graph.RecordPaymentPayload, error) {
	in := make([]services.Payment, len(input.Payments))
	for i, p := range input.Payments {
		ref, err := customerRef(*p.Customer, fmt.Sprintf("input.payments.%d.customer", i))
		if err != nil {
			return nil, err
		}
		in[i] = services.Payment{Customer: ref, TransactionID: p.TransactionID, At: p.At}
	}
	results, err := r.r.Services.RecordPayments(ctx, in)
	if err != nil {
		return nil, err
	}
	p := &graph.RecordPaymentPayload{Results: make([]*graph.RecordPaymentResult, len(results))}
	var paid []*models.Customer
	for i, res := range results {
		p.Results[i] = &graph.RecordPaymentResult{Customer: res.Customer, IsRepeated: res.Repeated, Error: models.AsItemError(res.Err)}
		if res.Customer != nil {
			paid = append(paid, res.Customer)
		}
	}
	return p, r.r.ofCustomers(ctx, paid)
}
