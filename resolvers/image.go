package resolvers

import (
	"clientele/graph"
	"clientele/internal/transport"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *mutationResolver) UploadImages(ctx context.Context, input graph.UploadImagesInput) (*graph.UploadImagesPayload, error) {
	files := make([]services.ImageFile, len(input.Files))
	for i, f := range input.Files {
		files[i] = services.ImageFile{Content: transport.OpenUpload(*f), Size: f.Size}
	}
	results, err := r.r.Services.UploadImages(ctx, files)
	if err != nil {
		return nil, err
	}
	p := &graph.UploadImagesPayload{Results: make([]*graph.UploadImageResult, len(results))}
	for i, res := range results {
		p.Results[i] = &graph.UploadImageResult{Image: res.Image, Error: models.AsItemError(res.Err)}
	}
	return p, nil
}
