#include "kube/client.h"
#include "pg/session.h"
#include "urls/published.h"
