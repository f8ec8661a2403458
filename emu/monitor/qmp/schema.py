"""What QMP speaks here: a part of QEMU 7.2's schema, with its names and meanings."""
from pyemu.machine.keymap import KEYS
from pyemu.monitor.qmp.types import Schema

VERSION = {"major": 7, "minor": 2, "micro": 0}  # of QEMU's schema

SCHEMA = Schema(f"""
enum RunState: debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate
  restore-vm running save-vm shutdown suspended watchdog guest-panicked colo
enum ShutdownCause: none host-error host-qmp-quit host-qmp-system-reset host-signal host-ui
  guest-shutdown guest-reset guest-panic subsystem-reset snapshot-load
event STOP()
event RESUME()
event POWERDOWN()
enum GuestPanicAction: pause poweroff run
event GUEST_PANICKED(action=GuestPanicAction)
event GUEST_CRASHLOADED(action=GuestPanicAction)
event RESET(guest=bool reason=ShutdownCause)
event SHUTDOWN(guest=bool reason=ShutdownCause)
event RTC_CHANGE(offset=int qom-path=str)

enum QmpCapability: oob
command qmp_capabilities(enable?=[QmpCapability])
struct VersionTriple: major=int minor=int micro=int
struct VersionInfo: qemu=VersionTriple package=str
command query-version() -> VersionInfo
struct CommandInfo: name=str
command query-commands() -> [CommandInfo]
enum SchemaMetaType: builtin enum array object alternate command event
enum JsonType: string number int boolean null object array value
struct SchemaBuiltin: json-type=JsonType
struct SchemaEnumMember: name=str
struct SchemaEnum: members=[SchemaEnumMember] values=[str]
struct SchemaArray: element-type=str
struct SchemaObjectMember: name=str type=str default?=any
struct SchemaVariant: case=str type=str
struct SchemaObject: members=[SchemaObjectMember] tag?=str variants?=[SchemaVariant]
struct SchemaCommand: arg-type=str ret-type=str
struct SchemaEvent: arg-type=str
union SchemaInfo meta-type: name=str meta-type=SchemaMetaType | builtin=SchemaBuiltin
  enum=SchemaEnum array=SchemaArray object=SchemaObject command=SchemaCommand event=SchemaEvent
command query-qmp-schema() -> [SchemaInfo]
command human-monitor-command(command-line=str cpu-index?=int) -> str

struct StatusInfo: running=bool singlestep=bool status=RunState
command query-status() -> StatusInfo
command stop()
command cont()
command system_reset()
command system_powerdown()
command inject-nmi()
command quit()

struct NameInfo: name?=str
command query-name() -> NameInfo
struct KvmInfo: enabled=bool present=bool
command query-kvm() -> KvmInfo
enum SysEmuTarget: x86_64
struct TargetInfo: arch=SysEmuTarget
command query-target() -> TargetInfo
struct MachineInfo: name=str is-default?=bool cpu-max=int hotpluggable-cpus=bool
  numa-mem-supported=bool deprecated=bool default-cpu-type?=str default-ram-id?=str
command query-machines() -> [MachineInfo]
struct CpuInstanceProperties: socket-id?=int core-id?=int thread-id?=int
struct CpuInfoFast: cpu-index=int qom-path=str thread-id=int props?=CpuInstanceProperties
  target=SysEmuTarget
command query-cpus-fast() -> [CpuInfoFast]
struct HotpluggableCPU: type=str vcpus-count=int props=CpuInstanceProperties qom-path?=str
command query-hotpluggable-cpus() -> [HotpluggableCPU]
struct CpuDefinitionInfo: name=str static=bool typename=str deprecated=bool
command query-cpu-definitions() -> [CpuDefinitionInfo]
struct CurrentMachineParams: wakeup-suspend-support=bool
command query-current-machine() -> CurrentMachineParams
struct UuidInfo: UUID=str
command query-uuid() -> UuidInfo
struct MemoryInfo: base-memory=int plugged-memory?=int
command query-memory-size-summary() -> MemoryInfo
command memsave(val=int size=int filename=str cpu-index?=int)
command pmemsave(val=int size=int filename=str)

command set_link(name=str up=bool)

struct ChardevInfo: label=str filename=str frontend-open=bool
command query-chardev() -> [ChardevInfo]
struct ChardevBackendInfo: name=str
command query-chardev-backends() -> [ChardevBackendInfo]
command chardev-send-break(id=str)
struct BlockdevCacheInfo: writeback=bool direct=bool no-flush=bool
struct ImageInfo: filename=str format=str virtual-size=int actual-size?=int
enum BlockdevDetectZeroesOptions: off on unmap
struct BlockDeviceInfo: file=str node-name?=str ro=bool drv=str backing_file_depth=int
  encrypted=bool detect_zeroes=BlockdevDetectZeroesOptions bps=int bps_rd=int bps_wr=int iops=int
  iops_rd=int iops_wr=int image=ImageInfo cache=BlockdevCacheInfo write_threshold=int
enum BlockDeviceIoStatus: ok failed nospace
struct BlockInfo: device=str qdev?=str type=str removable=bool locked=bool
  inserted?=BlockDeviceInfo tray_open?=bool io-status?=BlockDeviceIoStatus
command query-block() -> [BlockInfo]
struct BlockDeviceTimedStats: interval_length=int min_rd_latency_ns=int max_rd_latency_ns=int
  avg_rd_latency_ns=int min_wr_latency_ns=int max_wr_latency_ns=int avg_wr_latency_ns=int
  min_flush_latency_ns=int max_flush_latency_ns=int avg_flush_latency_ns=int
  avg_rd_queue_depth=number avg_wr_queue_depth=number
struct BlockDeviceStats: rd_bytes=int wr_bytes=int unmap_bytes=int rd_operations=int
  wr_operations=int flush_operations=int unmap_operations=int rd_total_time_ns=int
  wr_total_time_ns=int flush_total_time_ns=int unmap_total_time_ns=int wr_highest_offset=int
  rd_merged=int wr_merged=int unmap_merged=int idle_time_ns?=int failed_rd_operations=int
  failed_wr_operations=int failed_flush_operations=int failed_unmap_operations=int
  invalid_rd_operations=int invalid_wr_operations=int invalid_flush_operations=int
  invalid_unmap_operations=int account_invalid=bool account_failed=bool
  timed_stats=[BlockDeviceTimedStats]
struct BlockStats: device?=str node-name?=str stats=BlockDeviceStats
command query-blockstats() -> [BlockStats]
enum IoOperationType: read write
enum BlockErrorAction: ignore report stop
event BLOCK_IO_ERROR(device=str node-name?=str operation=IoOperationType action=BlockErrorAction
  nospace?=bool reason=str)
event DEVICE_TRAY_MOVED(device=str id=str tray-open=bool)
command eject(device?=str id?=str force?=bool)
command blockdev-open-tray(device?=str id?=str force?=bool)
command blockdev-close-tray(device?=str id?=str)
enum BlockdevChangeReadOnlyMode: retain read-only read-write
command blockdev-change-medium(device?=str id?=str filename=str format?=str force?=bool
  read-only-mode?=BlockdevChangeReadOnlyMode)
struct PciDeviceClass: desc?=str class=int
struct PciDeviceId: device=int vendor=int subsystem?=int subsystem-vendor?=int
struct PciMemoryRegion: bar=int type=str address=int size=int prefetch?=bool mem_type_64?=bool
struct PciDeviceInfo: bus=int slot=int function=int class_info=PciDeviceClass id=PciDeviceId
  irq?=int irq_pin=int qdev_id=str regions=[PciMemoryRegion]
struct PciInfo: bus=int devices=[PciDeviceInfo]
command query-pci() -> [PciInfo]

enum KeyValueKind: number qcode
enum QKeyCode: {' '.join(KEYS)}
struct IntWrapper: data=int
struct QKeyCodeWrapper: data=QKeyCode
union KeyValue type: type=KeyValueKind | number=IntWrapper qcode=QKeyCodeWrapper
command send-key(keys=[KeyValue] hold-time?=int)
enum InputEventKind: key btn rel abs
enum InputButton: left middle right wheel-up wheel-down side extra wheel-left wheel-right
enum InputAxis: x y
struct InputKeyEvent: key=KeyValue down=bool
struct InputBtnEvent: button=InputButton down=bool
struct InputMoveEvent: axis=InputAxis value=int
struct InputKeyEventWrapper: data=InputKeyEvent
struct InputBtnEventWrapper: data=InputBtnEvent
struct InputMoveEventWrapper: data=InputMoveEvent
union InputEvent type: type=InputEventKind | key=InputKeyEventWrapper btn=InputBtnEventWrapper
  rel=InputMoveEventWrapper abs=InputMoveEventWrapper
command input-send-event(device?=str head?=int events=[InputEvent])

struct MouseInfo: name=str index=int current=bool absolute=bool
command query-mice() -> [MouseInfo]

enum ImageFormat: ppm png
command screendump(filename=str device?=str head?=int format?=ImageFormat)
enum NetworkAddressFamily: ipv4 ipv6 unix vsock unknown
struct VncBasicInfo: host=str service=str family=NetworkAddressFamily websocket=bool
struct VncServerInfo: host=str service=str family=NetworkAddressFamily websocket=bool auth?=str
struct VncClientInfo: host=str service=str family=NetworkAddressFamily websocket=bool
  x509_dname?=str sasl_username?=str
struct VncInfo: enabled=bool host?=str family?=NetworkAddressFamily service?=str auth?=str
  clients?=[VncClientInfo]
command query-vnc() -> VncInfo
enum VncPrimaryAuth: none vnc ra2 ra2ne tight ultra tls vencrypt sasl
enum VncVencryptSubAuth: plain tls-none x509-none tls-vnc x509-vnc tls-plain x509-plain tls-sasl
  x509-sasl
struct VncServerInfo2: host=str service=str family=NetworkAddressFamily websocket=bool
  auth=VncPrimaryAuth vencrypt?=VncVencryptSubAuth
struct VncInfo2: id=str server=[VncServerInfo2] clients=[VncClientInfo] auth=VncPrimaryAuth
  vencrypt?=VncVencryptSubAuth display?=str
command query-vnc-servers() -> [VncInfo2]
enum DisplayProtocol: vnc spice
enum SetPasswordAction: keep fail disconnect
struct PasswordOptionsVnc: display?=str
union SetPasswordOptions protocol: protocol=DisplayProtocol password=str
  connected?=SetPasswordAction | vnc=PasswordOptionsVnc
command set_password(SetPasswordOptions)
union ExpirePasswordOptions protocol: protocol=DisplayProtocol time=str | vnc=PasswordOptionsVnc
command expire_password(ExpirePasswordOptions)
command change-vnc-password(password=str)
event VNC_CONNECTED(server=VncServerInfo client=VncBasicInfo)
event VNC_INITIALIZED(server=VncServerInfo client=VncClientInfo)
event VNC_DISCONNECTED(server=VncServerInfo client=VncClientInfo)
enum TraceEventState: unavailable disabled enabled
struct TraceEventInfo: name=str state=TraceEventState vcpu=bool
command trace-event-get-state(name=str vcpu?=int) -> [TraceEventInfo]
command trace-event-set-state(name=str enable=bool ignore-unavailable?=bool vcpu?=int)
""")
