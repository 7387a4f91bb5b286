# tempera_find_library(NAME HEADER): the imported target tempera::NAME, where the header and the library are found; without
# them there is no such target. For libraries whose CMake packages cannot be used: Debian's package of oneDNN needs
# OpenCL, which no kernel here uses, and utf8proc and nettle have none. The build and the installed package (temperaConfig.cmake) both
# find them by this.
function(tempera_find_library name header)
  string(TOUPPER ${name} variable)
  find_path(${variable}_INCLUDE_DIR ${header})
  find_library(${variable}_LIBRARY ${name})
  mark_as_advanced(${variable}_INCLUDE_DIR ${variable}_LIBRARY)
  if(${variable}_INCLUDE_DIR AND ${variable}_LIBRARY AND NOT TARGET tempera::${name})
    # Include folders of imported targets are SYSTEM, so that their headers raise no warnings.
    add_library(tempera::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(tempera::${name} PROPERTIES
      IMPORTED_LOCATION ${${variable}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${${variable}_INCLUDE_DIR})
  endif()
endfunction()
