# Modules first: they change less often than the code, so their layer is reused.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /sluice ./cmd/sluice

FROM gcr.io/distroless/static:nonroot
COPY --from=build /sluice /sluice
# By number: a kubelet cannot tell from a name that it is not root.
USER 65532:65532
ENTRYPOINT ["/sluice"]
CMD ["serve"]
