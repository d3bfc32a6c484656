package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
	"fmt"
)

func (r *accountResolver) CallbackPath(ctx context.Context, obj *models.Account) (*string, error) {
	panic(fmt.Errorf("not implemented: CallbackPath - callbackPath"))
}

func (r *mutationResolver) CreateAccount(ctx context.Context, input graph.CreateAccountInput) (*graph.CreateAccountPayload, error) {
	panic(fmt.Errorf("not implemented: CreateAccount - createAccount"))
}

func (r *mutationResolver) RecordAccountFacts(ctx context.Context, input graph.RecordAccountFactsInput) (*graph.RecordAccountFactsPayload, error) {
	panic(fmt.Errorf("not implemented: RecordAccountFacts - recordAccountFacts"))
}

func (r *mutationResolver) AcceptTerms(ctx context.Context, input graph.AcceptTermsInput) (*graph.AcceptTermsPayload, error) {
	panic(fmt.Errorf("not implemented: AcceptTerms - acceptTerms"))
}

func (r *mutationResolver) CloseAccount(ctx context.Context, input graph.CloseAccountInput) (*graph.CloseAccountPayload, error) {
	panic(fmt.Errorf("not implemented: CloseAccount - closeAccount"))
}

func (r *mutationResolver) UpdateAccountSettings(ctx context.Context, input graph.UpdateAccountSettingsInput) (*graph.UpdateAccountSettingsPayload, error) {
	panic(fmt.Errorf("not implemented: UpdateAccountSettings - updateAccountSettings"))
}

func (r *mutationResolver) SetCallbackCredentials(ctx context.Context, input graph.SetCallbackCredentialsInput) (*graph.SetCallbackCredentialsPayload, error) {
	panic(fmt.Errorf("not implemented: SetCallbackCredentials - setCallbackCredentials"))
}

func (r *queryResolver) Account(ctx context.Context, accountID *relay.ID) (*models.Account, error) {
	panic(fmt.Errorf("not implemented: Account - account"))
}

func (r *Resolver) Account() graph.AccountResolver { return &accountResolver{r} }

type accountResolver struct{ r *Resolver }
