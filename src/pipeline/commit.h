// Defined in commit.cpp, which every build writes anew where the commit changed (cmake/write_commit.cmake): all other
// objects are the same in every commit that leaves their sources alone.
#pragma once

namespace tempera {

const char* commit();  // as BuildInfo::commit

}  // namespace tempera
