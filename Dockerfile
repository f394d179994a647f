# The service as a container image: not root, one writable directory, a health check, a clean stop on SIGTERM.
# configs/README.md says how to run it. Pip settings come as a build secret and stay out of the image:
#     docker build --secret id=pip,src=$HOME/.config/pip/pip.conf --tag balancer .

ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS builder
# Which optional parts the image can do; postgres is for a store that two balancers share.
ARG EXTRAS=libvirt,ipmi,redfish,influx,notify,web
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates gcc libc6-dev libvirt-dev pkg-config python3-dev python3-pip python3-venv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY balancer balancer
# The environment has no pip of its own: nothing can be installed into the image later.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/balancer \
    && python3 -m pip --python /opt/balancer/bin/python install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
# The libvirt client library reaches qemu+ssh:// through ssh; tini reaps its children and hands signals on.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates libvirt0 openssh-client python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
# The number is fixed, so that volumes and secrets can be given to this user before the container exists.
RUN groupadd --gid 10001 balancer \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/balancer --shell /usr/sbin/nologin balancer \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/balancer
COPY --from=builder /opt/balancer /opt/balancer

# Set BALANCER_SITE=/etc/balancer/site.yaml and BALANCER_POLICY=/etc/balancer/policy.yaml for a cluster of your own;
# without a site file `balancer run` shows a day of the embedded simulated site.
ENV PATH=/opt/balancer/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    BALANCER_STATE=/var/lib/balancer \
    BALANCER_SECRETS=/run/secrets
USER 10001:10001
# A store named by a relative path lands in the volume as well.
WORKDIR /var/lib/balancer
VOLUME /var/lib/balancer
STOPSIGNAL SIGTERM
# The first look at a large cluster takes its time; after that, three silent intervals of the policy count as ill.
HEALTHCHECK --interval=30s --timeout=20s --start-period=5m --retries=3 CMD ["balancer", "health"]
ENTRYPOINT ["/usr/bin/tini", "--", "balancer"]
CMD ["run"]
