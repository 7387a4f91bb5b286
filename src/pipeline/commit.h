// Defined in commit.cpp. A build writes this file again only if the commit changed (cmake/write_commit.cmake). All
// other objects are the same in every commit that does not change their sources.
#pragma once

namespace tempera {

const char* commit();  // the value of BuildInfo::commit

}  // namespace tempera
