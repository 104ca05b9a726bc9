#include <libpq-fe.h>

#include <mutex>

#include "api/pooler_config.h"  // fine
#include "base/log.h"           // a pure room has no log
