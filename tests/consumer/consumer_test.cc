#include "coaio.h"

int main() {}
