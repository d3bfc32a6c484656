package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *accountResolver) CallbackPath(ctx context.Context, obj *models.Account) (*string, error) {
	if obj.Channel != models.ChannelWechat || !r.r.Services.MayReadCallback(ctx) {
		return nil, nil //nolint:nilnil // null: there is none, or not for them.
	}
	path := "/wechat/" + string(obj.CallbackID)
	return &path, nil
}

func (r *accountResolver) HasAppSecret(ctx context.Context, obj *models.Account) (*bool, error) {
	return r.r.Services.HasAppSecret(ctx, obj), nil
}

func (r *accountResolver) ChannelFaults(ctx context.Context, obj *models.Account) ([]*models.ChannelFault, error) {
	return r.r.Services.ChannelFaults(ctx, obj)
}

func (r *mutationResolver) CreateAccount(ctx context.Context, input graph.CreateAccountInput) (*graph.CreateAccountPayload, error) {
	a, err := r.r.Services.CreateAccount(ctx, services.NewAccount{
		Name: input.Name, Channel: input.Channel, AppID: value(input.AppID), OriginalID: value(input.OriginalID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.CreateAccountPayload{Account: a}, nil
}

func (r *mutationResolver) RecordAccountFacts(ctx context.Context, input graph.RecordAccountFactsInput) (*graph.RecordAccountFactsPayload, error) {
	id, err := key(input.AccountID, models.KindAccount, "input.accountId")
	if err != nil {
		return nil, err
	}
	facts := services.Facts{Verified: input.IsVerified, Close: input.Close != nil && *input.Close}
	for _, v := range input.Violations {
		facts.Violations = append(facts.Violations, models.Violation{Kind: v.Kind, On: v.HappenedAt})
	}
	a, err := r.r.Services.RecordFacts(ctx, id, facts)
	if err != nil {
		return nil, err
	}
	return &graph.RecordAccountFactsPayload{Account: a}, nil
}

func (r *mutationResolver) AcceptTerms(ctx context.Context, input graph.AcceptTermsInput) (*graph.AcceptTermsPayload, error) {
	a, err := r.r.Services.AcceptTerms(ctx, input.Version)
	if err != nil {
		return nil, err
	}
	return &graph.AcceptTermsPayload{Account: a}, nil
}

func (r *mutationResolver) CloseAccount(ctx context.Context, input graph.CloseAccountInput) (*graph.CloseAccountPayload, error) {
	a, err := r.r.Services.CloseAccount(ctx, input.Confirm)
	if err != nil {
		return nil, err
	}
	return &graph.CloseAccountPayload{Account: a}, nil
}

func (r *mutationResolver) UpdateAccountSettings(ctx context.Context, input graph.UpdateAccountSettingsInput) (*graph.UpdateAccountSettingsPayload, error) {
	in := services.Settings{
		TimeZone: input.TimeZone, PolicyPreset: input.PolicyPreset, OutreachCarrier: input.OutreachCarrier,
		Unfollow: input.OnUnfollow, EraseAfterDays: input.EraseAfterDays,
		AutoAssign: input.IsAutoAssignOn, AutoAssignAfterCode: input.IsAutoAssignAfterFailedCode,
		AdvisorsEditProfile: input.MayAdvisorsEditProfile,
		NicknameShown:       input.IsNicknameShown,
		AnalystsReadText:    input.MayAnalystsReadFreeText,
		RulesVersion:        input.ServiceRulesVersion, ConversationLink: input.ConversationLink, TaskLink: input.TaskLink,
		OutsideLanguage: input.OutsideLanguage,
		EventDays:       input.EventRetentionDays, ReadableDays: input.MessageReadableDays, MessageDays: input.MessageRetentionDays,
	}
	if input.LinkedMiniPrograms != nil {
		in.MiniPrograms = (*models.Lines)(&input.LinkedMiniPrograms)
	}
	if n := input.NotifyOn; n != nil {
		in.NotifyAdvisorQR, in.NotifyGroupQR, in.NotifyWechatAd, in.NotifyAutoAssign = n.AdvisorQR, n.GroupQR, n.WechatAd, n.AutoAssign
	}
	if group, ok := input.AdvertisementGroupID.ValueOK(); ok {
		in.AdGroup = &models.Key{}
		if group != nil {
			id, err := key(*group, models.KindGroup, "input.advertisementGroupId")
			if err != nil {
				return nil, err
			}
			in.AdGroup = &id
		}
	}
	if reply, ok := input.FollowReply.ValueOK(); ok {
		text := value(reply)
		in.FollowReply = &text
	}
	if given, ok := input.PolicyOverrides.ValueOK(); ok {
		in.PolicyOverrides = policyOverrides(given)
	}
	a, err := r.r.Services.UpdateSettings(ctx, in)
	if err != nil {
		return nil, err
	}
	return &graph.UpdateAccountSettingsPayload{Account: a, Warnings: a.PolicyWarnings()}, nil
}

func (r *mutationResolver) SetCallbackCredentials(ctx context.Context, input graph.SetCallbackCredentialsInput) (*graph.SetCallbackCredentialsPayload, error) {
	a, err := r.r.Services.SetCredentials(ctx, services.CallbackCredentials{Mode: input.Mode, Token: input.Token, AESKey: value(input.AesKey)})
	if err != nil {
		return nil, err
	}
	return &graph.SetCallbackCredentialsPayload{Account: a}, nil
}

func (r *mutationResolver) SetAppSecret(ctx context.Context, input graph.SetAppSecretInput) (*graph.SetAppSecretPayload, error) {
	a, err := r.r.Services.SetAppSecret(ctx, input.Secret)
	if err != nil {
		return nil, err
	}
	return &graph.SetAppSecretPayload{Account: a}, nil
}

func (r *queryResolver) Account(ctx context.Context, accountID *relay.ID) (*models.Account, error) {
	var id models.Key
	if accountID != nil {
		var err error
		if id, err = key(*accountID, models.KindAccount, "accountId"); err != nil {
			return nil, err
		}
	}
	return r.r.Services.Account(ctx, id)
}

func (r *Resolver) Account() graph.AccountResolver { return &accountResolver{r} }

type accountResolver struct{ r *Resolver }
