// The log sink of the public interface, under the name that the layers above base use.
#pragma once

#include "tempera/log.h"
