# tempera::tempera, the library that programs link. It is one static library of all layers that the public interface
# uses, with the backends of this build. It is installed with its headers, a CMake package and a pkg-config file. Inside
# the build each layer is also a separate library, which the tests of that layer link.

# Appends to `result` the layers that `target` links, itself included.
function(tempera_layers_of target result)
  set(found ${${result}} ${target})
  get_target_property(linked ${target} LINK_LIBRARIES)
  foreach(library IN LISTS linked)
    if(library MATCHES "^tempera_" AND NOT library IN_LIST found)
      get_target_property(type ${library} TYPE)
      if(type STREQUAL "STATIC_LIBRARY")
        tempera_layers_of(${library} found)
      endif()
    endif()
  endforeach()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# Appends to `result` the flags that link the library file, such as "-L/opt/lib -lhwy". The folder is left out if it is
# one of the linker's default folders.
function(tempera_link_flags result file)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^lib" "-l" name ${name})
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set(name "-L${folder} ${name}")
  endif()
  set(${result} "${${result}} ${name}" PARENT_SCOPE)
endfunction()

set(layers)
tempera_layers_of(tempera_measure layers)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(tempera_library STATIC ${objects})
add_library(tempera::tempera ALIAS tempera_library)
set_target_properties(tempera_library PROPERTIES OUTPUT_NAME tempera EXPORT_NAME tempera LINKER_LANGUAGE CXX)
target_compile_features(tempera_library INTERFACE cxx_std_20)
target_include_directories(tempera_library INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# The libraries that the layers link, in three forms: targets, names for pkg-config, and flags for pkg-config if a
# library has no pkg-config file. temperaConfig.cmake.in finds the targets.
set(pc_requires "fmt libpng zlib libjpeg libwebp libwebpdemux libwebpmux lcms2 sqlite3 nettle")
set(pc_libs "-pthread")
target_link_libraries(tempera_library PRIVATE fmt::fmt PNG::PNG ZLIB::ZLIB JPEG::JPEG tempera::webpdemux tempera::webpmux tempera::webp tempera::lcms2 SQLite::SQLite3 tempera::nettle tempera::utf8proc Threads::Threads)
tempera_link_flags(pc_libs ${UTF8PROC_LIBRARY})
if(TEMPERA_OPENMP)
  target_link_libraries(tempera_library PRIVATE OpenMP::OpenMP_CXX)
  string(APPEND pc_libs " ${OpenMP_CXX_FLAGS}")
endif()
if(TEMPERA_CPU)
  target_link_libraries(tempera_library PRIVATE tempera::dnnl tempera::hwy)
  tempera_link_flags(pc_libs ${DNNL_LIBRARY})
  tempera_link_flags(pc_libs ${HWY_LIBRARY})
endif()
if(TEMPERA_HAS_CUDA)
  target_link_libraries(tempera_library PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
  tempera_link_flags(pc_libs ${CUDA_cudart_static_LIBRARY})
  string(APPEND pc_libs " -lrt -ldl")
endif()
if(TEMPERA_SANITIZE)
  target_link_options(tempera_library INTERFACE -fsanitize=${TEMPERA_SANITIZE})
  string(APPEND pc_libs " -fsanitize=${TEMPERA_SANITIZE}")
endif()

if(NOT TEMPERA_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/tempera)
install(TARGETS tempera_library EXPORT tempera)
install(DIRECTORY include/tempera DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT tempera NAMESPACE tempera:: FILE temperaTargets.cmake DESTINATION ${package})
configure_package_config_file(cmake/temperaConfig.cmake.in ${PROJECT_BINARY_DIR}/temperaConfig.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/temperaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/TemperaFindLibrary.cmake ${PROJECT_BINARY_DIR}/temperaConfig.cmake
  ${PROJECT_BINARY_DIR}/temperaConfigVersion.cmake DESTINATION ${package})
# The prefix is relative to the pkg-config file, so that it can be chosen at installation.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(cmake/tempera.pc.in ${PROJECT_BINARY_DIR}/tempera.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tempera.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
