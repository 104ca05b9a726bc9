# shellcheck shell=bash
# The images of the demo, by kind of cluster. Source it; provide_images sets
#   operator_image pgbouncer_image postgres_image clients_image   references that the cluster can run
#   operator_id                                                   changes when the operator does

operator_id=''

# docker_images PREFIX: builds what the project makes as PREFIX/NAME:demo.
docker_images() {
  command -v docker >/dev/null || die "docker is missing; it builds the images for context $context"
  operator_image=$1/pooler-operator:demo
  pgbouncer_image=$1/pgbouncer:demo
  clients_image=$1/pooler-clients:demo
  postgres_image=docker.io/library/postgres:17
  step "Building the operator's image" \
    docker build --target operator -t "$operator_image" "$root_dir"
  step "Building the PgBouncer image" \
    docker build --target pgbouncer -t "$pgbouncer_image" "$root_dir"
  step "Building the image of the clients" \
    docker build -f "$root_dir/demo/clients.Dockerfile" -t "$clients_image" "$root_dir"
  operator_id=$(docker image inspect -f '{{.Id}}' "$operator_image")
}

# each_image CMD...: CMD with each of the images that were built.
each_image() {
  local image
  for image in "$operator_image" "$pgbouncer_image" "$clients_image"; do "$@" "$image"; done
}

provide_images() {
  case $context in
  '')
    # The load tool goes into the image of the clients.
    cd "$root_dir"
    configure dev
    step "Compiling the load tool" cmake --build --preset dev --target pooler-load
    "$root_dir/scripts/images.sh" operator runner
    operator_image=localhost/pooler-operator:dev
    pgbouncer_image=localhost/pgbouncer:1.26.1
    postgres_image=localhost/postgres:17
    clients_image=localhost/test-runner:dev
    operator_id=$("$root_dir/scripts/images.sh" id "$operator_image")
    ;;
  kind-*)
    docker_images localhost
    step "Loading the images into kind" each_image kind load docker-image --name "${context#kind-}"
    ;;
  minikube)
    docker_images localhost
    step "Loading the images into minikube" each_image minikube image load
    ;;
  *)
    [[ -n $registry ]] || die "how does the cluster of context $context get images?" \
      "Name a registry that you may push to and it may pull from: --registry HOST/PATH"
    docker_images "$registry"
    step "Pushing the images to $registry" each_image docker push
    ;;
  esac
}
