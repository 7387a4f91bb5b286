# Writes FILE, the C++ file that defines tempera::commit(), where what it says has changed. Run by every build, with SOURCE
# (the project's folder) and FILE.
cmake_minimum_required(VERSION 3.25)

# A folder inside another project's checkout is not one of ours: its prefix there is not empty.
set(commit unknown)
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-prefix
    RESULT_VARIABLE status OUTPUT_VARIABLE prefix ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(status EQUAL 0 AND prefix STREQUAL "")
    execute_process(COMMAND ${GIT} -C ${SOURCE} --no-optional-locks describe --always --abbrev=12 --exclude=* --dirty=-modified
      RESULT_VARIABLE status OUTPUT_VARIABLE described ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(status EQUAL 0)
      set(commit ${described})
    endif()
  endif()
endif()

# Leaves a file alone that says the same.
file(CONFIGURE OUTPUT ${FILE} @ONLY CONTENT [[
#include "pipeline/commit.h"

namespace tempera {

const char* commit() {
  return "@commit@";
}

}  // namespace tempera
]])
