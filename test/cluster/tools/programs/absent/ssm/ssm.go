// Package ssm asks no cloud.
package ssm

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Client would ask for instances.
type Client struct{}

// NewFromConfig returns one.
func NewFromConfig(aws.Config, ...func()) *Client { return &Client{} }

// DescribeInstanceInformationInput says what is asked for.
type DescribeInstanceInformationInput struct {
	Filters []types.InstanceInformationStringFilter
}

// DescribeInstanceInformationOutput is the answer.
type DescribeInstanceInformationOutput struct {
	InstanceInformationList []types.InstanceInformation
}

// DescribeInstanceInformationPaginator asks for pages of an answer.
type DescribeInstanceInformationPaginator struct{}

// NewDescribeInstanceInformationPaginator returns one.
func NewDescribeInstanceInformationPaginator(*Client, *DescribeInstanceInformationInput) *DescribeInstanceInformationPaginator {
	return &DescribeInstanceInformationPaginator{}
}

// HasMorePages tells that the answer is an error.
func (*DescribeInstanceInformationPaginator) HasMorePages() bool { return true }

// NextPage always fails.
func (*DescribeInstanceInformationPaginator) NextPage(context.Context) (*DescribeInstanceInformationOutput, error) {
	return nil, errors.ErrUnsupported
}
