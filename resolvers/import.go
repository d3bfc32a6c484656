package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *importResolver) Job(ctx context.Context, obj *models.Import) (*models.Job, error) {
	if obj.JobID.IsZero() {
		return nil, nil //nolint:nilnil // null: it was not started.
	}
	found, err := r.r.Services.JobsByKeys(ctx, []models.Key{obj.JobID})
	return found[obj.JobID], err
}

func (r *mutationResolver) CreateImport(ctx context.Context, input graph.CreateImportInput) (*graph.CreateImportPayload, error) {
	i, err := r.r.Services.CreateImport(ctx, input.Kind)
	if err != nil {
		return nil, err
	}
	return &graph.CreateImportPayload{Import: i}, nil
}

func (r *mutationResolver) UploadImport(ctx context.Context, input graph.UploadImportInput) (*graph.UploadImportPayload, error) {
	id, err := key(input.ImportID, models.KindImport, "input.importId")
	if err != nil {
		return nil, err
	}
	i, err := r.r.Services.UploadImport(ctx, id, int64(input.Offset), input.Data)
	if err != nil {
		return nil, err
	}
	return &graph.UploadImportPayload{Import: i}, nil
}

func (r *mutationResolver) StartImport(ctx context.Context, input graph.StartImportInput) (*graph.StartImportPayload, error) {
	id, err := key(input.ImportID, models.KindImport, "input.importId")
	if err != nil {
		return nil, err
	}
	i, job, err := r.r.Services.StartImport(ctx, id)
	if err != nil {
		return nil, err
	}
	return &graph.StartImportPayload{Import: i, Job: job}, nil
}

func (r *mutationResolver) ImportFollowers(ctx context.Context, input graph.ImportFollowersInput) (*graph.ImportFollowersPayload, error) {
	idempotencyKey, err := bulkKey(input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	job, repeated, err := r.r.Services.ImportFollowers(ctx, idempotencyKey)
	if err != nil {
		return nil, err
	}
	return &graph.ImportFollowersPayload{Job: job, IsRepeated: repeated}, nil
}

func (r *mutationResolver) DeleteImport(ctx context.Context, input graph.DeleteImportInput) (*graph.DeleteImportPayload, error) {
	id, err := key(input.ImportID, models.KindImport, "input.importId")
	if err != nil {
		return nil, err
	}
	if err := r.r.Services.DeleteImport(ctx, id); err != nil {
		return nil, err
	}
	return &graph.DeleteImportPayload{ImportID: input.ImportID}, nil
}

func (r *queryResolver) Import(ctx context.Context, importID relay.ID) (*models.Import, error) {
	id, err := key(importID, models.KindImport, "importId")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Import(ctx, id)
}

func (r *Resolver) Import() graph.ImportResolver { return &importResolver{r} }

type importResolver struct{ r *Resolver }
