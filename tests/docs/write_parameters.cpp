// Prints docs/reference/pgbouncer-parameters.md.
#include <iostream>

#include "docs/parameters_page.h"

int main() { std::cout << pooler::docs::parameters_page(); }
