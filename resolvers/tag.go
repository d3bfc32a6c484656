package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
)

func (r *mutationResolver) CreateTag(ctx context.Context, input graph.CreateTagInput) (*graph.CreateTagPayload, error) {
	t, err := r.r.Services.CreateTag(ctx, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.CreateTagPayload{Tag: t}, nil
}

func (r *mutationResolver) RenameTag(ctx context.Context, input graph.RenameTagInput) (*graph.RenameTagPayload, error) {
	id, err := key(input.TagID, models.KindTag, "input.tagId")
	if err != nil {
		return nil, err
	}
	t, err := r.r.Services.RenameTag(ctx, id, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.RenameTagPayload{Tag: t}, nil
}

func (r *mutationResolver) RemoveTag(ctx context.Context, input graph.RemoveTagInput) (*graph.RemoveTagPayload, error) {
	id, err := key(input.TagID, models.KindTag, "input.tagId")
	if err != nil {
		return nil, err
	}
	if err := r.r.Services.RemoveTag(ctx, id); err != nil {
		return nil, err
	}
	return &graph.RemoveTagPayload{TagID: input.TagID}, nil
}

func (r *mutationResolver) CreateTagOption(ctx context.Context, input graph.CreateTagOptionInput) (*graph.CreateTagOptionPayload, error) {
	id, err := key(input.TagID, models.KindTag, "input.tagId")
	if err != nil {
		return nil, err
	}
	o, err := r.r.Services.CreateTagOption(ctx, id, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.CreateTagOptionPayload{Option: o}, nil
}

func (r *mutationResolver) RenameTagOption(ctx context.Context, input graph.RenameTagOptionInput) (*graph.RenameTagOptionPayload, error) {
	id, err := key(input.OptionID, models.KindTagOption, "input.optionId")
	if err != nil {
		return nil, err
	}
	o, err := r.r.Services.RenameTagOption(ctx, id, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.RenameTagOptionPayload{Option: o}, nil
}

func (r *mutationResolver) RemoveTagOption(ctx context.Context, input graph.RemoveTagOptionInput) (*graph.RemoveTagOptionPayload, error) {
	id, err := key(input.OptionID, models.KindTagOption, "input.optionId")
	if err != nil {
		return nil, err
	}
	if err := r.r.Services.RemoveTagOption(ctx, id); err != nil {
		return nil, err
	}
	return &graph.RemoveTagOptionPayload{OptionID: input.OptionID}, nil
}

func (r *mutationResolver) TagCustomers(ctx context.Context, input graph.TagCustomersInput) (*graph.TagCustomersPayload, error) {
	all, err := taggings(input.Customers)
	if err != nil {
		return nil, err
	}
	idempotencyKey, err := bulkKey(input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	done, err := r.r.Services.TagCustomers(ctx, all, idempotencyKey)
	if err != nil {
		return nil, err
	}
	results, err := r.r.customerResults(ctx, done.Results)
	return &graph.TagCustomersPayload{Results: results, IsRepeated: done.Repeated}, err
}

func (r *queryResolver) Tags(ctx context.Context) ([]*models.Tag, error) {
	return r.r.Services.TagLibrary(ctx)
}
