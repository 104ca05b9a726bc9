#pragma once
#include "api/pooler_config.h"  // base is below everybody
