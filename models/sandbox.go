package models

// SandboxSending is how the simulated platform answers sends (rule K2).
type SandboxSending string

// The behaviours of the simulated platform.
const (
	SandboxAccept         SandboxSending = "ACCEPT"
	SandboxRefuseWindow   SandboxSending = "REFUSE_WINDOW"
	SandboxRefuseCustomer SandboxSending = "REFUSE_CUSTOMER"
	SandboxUnreachable    SandboxSending = "UNREACHABLE"
	SandboxSilent         SandboxSending = "SILENT"
	SandboxStall          SandboxSending = "STALL"
)

// Sandbox is the state of an account's simulated platform.
type Sandbox struct {
	AccountID Key            `gorm:"column:account_id;primaryKey"`
	Sending   SandboxSending `gorm:"column:sending"`
}

// TableName names the table for the mapper.
func (Sandbox) TableName() string { return "sandbox" }
