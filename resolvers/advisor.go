package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *advisorResolver) State(ctx context.Context, obj *models.Advisor) (models.AdvisorState, error) {
	panic(fmt.Errorf("not implemented: State - state"))
}

func (r *advisorResolver) QRCode(ctx context.Context, obj *models.Advisor) (*models.QRCode, error) {
	panic(fmt.Errorf("not implemented: QRCode - qrCode"))
}

func (r *mutationResolver) InviteAdvisors(ctx context.Context, input graph.InviteAdvisorsInput) (*graph.InviteAdvisorsPayload, error) {
	panic(fmt.Errorf("not implemented: InviteAdvisors - inviteAdvisors"))
}

func (r *mutationResolver) AnswerInvitation(ctx context.Context, input graph.AnswerInvitationInput) (*graph.AnswerInvitationPayload, error) {
	panic(fmt.Errorf("not implemented: AnswerInvitation - answerInvitation"))
}

func (r *mutationResolver) AcceptServiceRules(ctx context.Context, input graph.AcceptServiceRulesInput) (*graph.AcceptServiceRulesPayload, error) {
	panic(fmt.Errorf("not implemented: AcceptServiceRules - acceptServiceRules"))
}

func (r *mutationResolver) SetPresence(ctx context.Context, input graph.SetPresenceInput) (*graph.SetPresencePayload, error) {
	panic(fmt.Errorf("not implemented: SetPresence - setPresence"))
}

func (r *mutationResolver) IssueAdvisorToken(ctx context.Context, input graph.IssueAdvisorTokenInput) (*graph.IssueAdvisorTokenPayload, error) {
	panic(fmt.Errorf("not implemented: IssueAdvisorToken - issueAdvisorToken"))
}

func (r *queryResolver) Advisors(ctx context.Context, first *int, after *string, state *models.AdvisorState) (*models.AdvisorConnection, error) {
	panic(fmt.Errorf("not implemented: Advisors - advisors"))
}

func (r *queryResolver) Advisor(ctx context.Context, by graph.AdvisorRef) (*models.Advisor, error) {
	panic(fmt.Errorf("not implemented: Advisor - advisor"))
}

func (r *Resolver) Advisor() graph.AdvisorResolver { return &advisorResolver{r} }

type advisorResolver struct{ r *Resolver }
