// Prints docs/explanation/what-works-through-a-pooler.md.
#include <iostream>

#include "pooler/features.h"

int main() { std::cout << pooler::ring::document(); }
