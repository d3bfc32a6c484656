package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
	"fmt"
	"time"
)

func (r *advisorResolver) Avatar(ctx context.Context, obj *models.Advisor) (*models.Image, error) {
	return r.r.image(ctx, obj.AvatarID)
}

func (r *advisorResolver) State(ctx context.Context, obj *models.Advisor) (models.AdvisorState, error) {
	return r.r.Services.AdvisorState(obj), nil
}

func (r *advisorResolver) QRCode(ctx context.Context, obj *models.Advisor) (*models.QRCode, error) {
	return loaders(ctx).QRCode(ctx, obj.Key)
}

func (r *advisorResolver) Groups(ctx context.Context, obj *models.Advisor) ([]*models.Group, error) {
	groups, err := loaders(ctx).Groups(ctx, obj.Key)
	if err != nil {
		return nil, err
	}
	return groups, r.r.codesOf(ctx, keysOf(groups, func(g *models.Group) models.Key { return g.Key }))
}

func (r *mutationResolver) UpdateAdvisor(ctx context.Context, input graph.UpdateAdvisorInput) (*graph.UpdateAdvisorPayload, error) {
	image, err := clearedImage(input.AvatarImageID, "input.avatarImageId")
	if err != nil {
		return nil, err
	}
	in := services.Profile{Nickname: input.Nickname, AvatarURL: input.AvatarURL, AvatarImage: image}
	if input.Advisor != nil {
		ref, err := advisorRef(*input.Advisor, "input.advisor")
		if err != nil {
			return nil, err
		}
		in.Advisor = &ref
	}
	a, err := r.r.Services.UpdateAdvisor(ctx, in)
	if err != nil {
		return nil, err
	}
	return &graph.UpdateAdvisorPayload{Advisor: a}, nil
}

func (r *mutationResolver) RemoveAdvisor(ctx context.Context, input graph.RemoveAdvisorInput) (*graph.RemoveAdvisorPayload, error) {
	in := services.Removal{Keep: bindingKeep(input.Keep)}
	var err error
	if in.Advisor, err = advisorRef(*input.Advisor, "input.advisor"); err != nil {
		return nil, err
	}
	if in.To, in.Group, err = bindingTarget(input.HandOver, "input.handOver"); err != nil {
		return nil, err
	}
	a, job, err := r.r.Services.RemoveAdvisor(ctx, in)
	if err != nil {
		return nil, err
	}
	return &graph.RemoveAdvisorPayload{Advisor: a, Job: job}, nil
}

func (r *mutationResolver) InviteAdvisors(ctx context.Context, input graph.InviteAdvisorsInput) (*graph.InviteAdvisorsPayload, error) {
	in := make([]services.Invitation, len(input.Advisors))
	for i, a := range input.Advisors {
		in[i] = services.Invitation{
			OpenID: value(a.Openid), UnionID: value(a.Unionid), WechatID: value(a.WechatID), ExternalID: value(a.ExternalID),
			Nickname: a.Nickname, AvatarURL: value(a.AvatarURL),
		}
		if a.AvatarImageID != nil {
			image, err := key(*a.AvatarImageID, models.KindImage, fmt.Sprintf("input.advisors.%d.avatarImageId", i))
			if err != nil {
				return nil, err
			}
			in[i].AvatarImage = image
		}
	}
	idempotencyKey, err := bulkKey(input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	results, repeated, err := r.r.Services.Invite(ctx, in, idempotencyKey)
	if err != nil {
		return nil, err
	}
	p := &graph.InviteAdvisorsPayload{Results: make([]*graph.InviteAdvisorResult, len(results)), IsRepeated: repeated}
	var invited []models.Key
	for i, res := range results {
		p.Results[i] = &graph.InviteAdvisorResult{Advisor: res.Advisor, Error: models.AsItemError(res.Err)}
		if res.Advisor != nil {
			invited = append(invited, res.Advisor.Key)
		}
	}
	return p, r.r.ofAdvisors(ctx, invited)
}

func (r *mutationResolver) ExportAdvisors(ctx context.Context, input graph.ExportAdvisorsInput) (*graph.ExportAdvisorsPayload, error) {
	p, err := exportPage(input.First, input.After)
	if err != nil {
		return nil, err
	}
	out, err := r.r.Services.ExportAdvisors(ctx, value(input.State), value(input.HasByteOrderMark), p)
	if err != nil {
		return nil, err
	}
	payload := &graph.ExportAdvisorsPayload{Lines: out.Lines, AuditID: (&models.Audit{Key: out.Audit}).ID()}
	if out.End != nil {
		end := out.End.Encode()
		payload.EndCursor = &end
	}
	return payload, nil
}

func (r *mutationResolver) AnswerInvitation(ctx context.Context, input graph.AnswerInvitationInput) (*graph.AnswerInvitationPayload, error) {
	a, err := r.r.Services.Answer(ctx, input.Accept, value(input.Openid))
	if err != nil {
		return nil, err
	}
	return &graph.AnswerInvitationPayload{Advisor: a}, nil
}

func (r *mutationResolver) AcceptServiceRules(ctx context.Context, input graph.AcceptServiceRulesInput) (*graph.AcceptServiceRulesPayload, error) {
	a, err := r.r.Services.AcceptRules(ctx, input.Version)
	if err != nil {
		return nil, err
	}
	return &graph.AcceptServiceRulesPayload{Advisor: a}, nil
}

func (r *mutationResolver) SetPresence(ctx context.Context, input graph.SetPresenceInput) (*graph.SetPresencePayload, error) {
	a, err := r.r.Services.SetPresence(ctx, input.Presence)
	if err != nil {
		return nil, err
	}
	return &graph.SetPresencePayload{Advisor: a}, nil
}

func (r *mutationResolver) IssueAdvisorToken(ctx context.Context, input graph.IssueAdvisorTokenInput) (*graph.IssueAdvisorTokenPayload, error) {
	ref, err := advisorRef(*input.Advisor, "input.advisor")
	if err != nil {
		return nil, err
	}
	life := time.Hour
	if input.LifeSeconds != nil {
		life = time.Duration(*input.LifeSeconds) * time.Second
	}
	token, viewer, err := r.r.Services.IssueToken(ctx, ref, life)
	if err != nil {
		return nil, err
	}
	return &graph.IssueAdvisorTokenPayload{Token: token, ExpiresAt: models.At(viewer.Expires), TokenID: viewer.TokenID}, nil
}

func (r *queryResolver) Advisors(ctx context.Context, first *int, after *string, state *models.AdvisorState) (*models.AdvisorConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.AdvisorPage(ctx, value(state), p)
	if err == nil {
		err = r.r.ofAdvisors(ctx, keysOf(rows, func(a *models.Advisor) models.Key { return a.Key }))
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Advisor, models.AdvisorEdge](rows, p, func(a *models.Advisor) relay.Keyset {
		return relay.Keyset{Sort: int64(a.InvitedAt), Key: a.Key}
	}), nil
}

func (r *queryResolver) Advisor(ctx context.Context, by graph.AdvisorRef) (*models.Advisor, error) {
	ref, err := advisorRef(by, "by")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Advisor(ctx, ref)
}

func (r *Resolver) Advisor() graph.AdvisorResolver { return &advisorResolver{r} }

type advisorResolver struct{ r *Resolver }
