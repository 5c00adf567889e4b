// Package ec2 asks no cloud.
package ec2

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Client would ask for instances.
type Client struct{}

// NewFromConfig returns one.
func NewFromConfig(aws.Config, ...func()) *Client { return &Client{} }

// DescribeInstancesInput says what is asked for.
type DescribeInstancesInput struct{ InstanceIds []string }

// DescribeInstancesOutput is the answer.
type DescribeInstancesOutput struct{ Reservations []types.Reservation }

// DescribeInstancesPaginator asks for pages of an answer.
type DescribeInstancesPaginator struct{}

// NewDescribeInstancesPaginator returns one.
func NewDescribeInstancesPaginator(*Client, *DescribeInstancesInput) *DescribeInstancesPaginator {
	return &DescribeInstancesPaginator{}
}

// HasMorePages tells that the answer is an error.
func (*DescribeInstancesPaginator) HasMorePages() bool { return true }

// NextPage always fails.
func (*DescribeInstancesPaginator) NextPage(context.Context) (*DescribeInstancesOutput, error) {
	return nil, errors.ErrUnsupported
}
