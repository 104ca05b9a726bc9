#include <cpprest/http_client.h>

#include "base/result.h"       // fine
#include "urls/published.h"    // kube knows nothing of poolers
#include "watch.h"             // not from operator/
