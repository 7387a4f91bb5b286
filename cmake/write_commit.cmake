# Writes FILE, the C++ file that defines tempera::commit(), if its content has changed. Every build runs this script
# with SOURCE (the project's folder) and FILE.
cmake_minimum_required(VERSION 3.25)

# If the folder is inside another project's checkout, its prefix is not empty, and git describes the other project.
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

# This does not write the file if its content is the same.
file(CONFIGURE OUTPUT ${FILE} @ONLY CONTENT [[
#include "pipeline/commit.h"

namespace tempera {

const char* commit() {
  return "@commit@";
}

}  // namespace tempera
]])
